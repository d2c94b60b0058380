"""Reading what processes captures: pipelines, algorithms and processing services."""

from db.listing import VISIBLE_PROJECTS, Listing, times

_ALGORITHM = """jsonb_build_object(
    'id', a.id, 'name', a.name, 'key', a.key, 'description', a.description, 'uri', a.uri, 'version', a.version,
    'version_name', a.version_name, 'task_type', a.task_type, 'category_map_id', a.category_map_id,
    'created_at', a.created_at AT TIME ZONE %(zone)s, 'updated_at', a.updated_at AT TIME ZONE %(zone)s)"""
_SERVICE = """jsonb_build_object(
    'id', v.id, 'name', v.name, 'endpoint_url', v.endpoint_url, 'last_seen', v.last_seen AT TIME ZONE %(zone)s,
    'last_seen_live', v.last_seen_live, 'created_at', v.created_at AT TIME ZONE %(zone)s,
    'updated_at', v.updated_at AT TIME ZONE %(zone)s)"""
_PIPELINE = """jsonb_build_object(
    'id', l.id, 'name', l.name, 'slug', l.slug, 'description', l.description, 'version', l.version,
    'version_name', l.version_name, 'created_at', l.created_at AT TIME ZONE %(zone)s,
    'updated_at', l.updated_at AT TIME ZONE %(zone)s)"""

# of draft projects only their members learn which pipelines and services they use
_OF_VISIBLE = f"project_id IN ({VISIBLE_PROJECTS})"

PIPELINES = Listing(
    table="pipelines",
    columns=f"""t.id, t.name, t.slug, t.description, t.version, t.version_name, t.stages,
        {times("created_at", "updated_at")}, used.algorithms, offered.services, enabled.configs""",
    related=f"""
    LEFT JOIN LATERAL (
        SELECT jsonb_agg({_ALGORITHM} ORDER BY m.position, a.id) AS algorithms
        FROM pipeline_algorithms m JOIN algorithms a ON a.id = m.algorithm_id WHERE m.pipeline_id = t.id
    ) used ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg({_SERVICE} ORDER BY v.id) AS services
        FROM processing_service_pipelines m JOIN processing_services v ON v.id = m.processing_service_id
        WHERE m.pipeline_id = t.id AND EXISTS (
            SELECT 1 FROM processing_service_projects w
            WHERE w.processing_service_id = v.id AND w.{_OF_VISIBLE}
        )
    ) offered ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object(
            'id', g.id, 'project_id', g.project_id, 'enabled', g.enabled, 'config', g.config
        ) ORDER BY g.id) AS configs
        FROM project_pipeline_configs g WHERE g.pipeline_id = t.id AND g.{_OF_VISIBLE}
    ) enabled ON true
    """,
    seen="true",
    in_project=f"""EXISTS (
        SELECT 1 FROM project_pipeline_configs g
        WHERE g.pipeline_id = t.id AND g.project_id = %(project_id)s AND g.enabled AND g.{_OF_VISIBLE}
    )""",
)
ALGORITHMS = Listing(
    table="algorithms",
    columns=f"""t.id, t.name, t.key, t.description, t.uri, t.version, t.version_name, t.task_type,
        t.category_map_id, {times("created_at", "updated_at")}, cardinality(c.labels) AS category_count""",
    related="LEFT JOIN category_maps c ON c.id = t.category_map_id",
    seen="true",
    in_project=f"""EXISTS (
        SELECT 1 FROM pipeline_algorithms m JOIN project_pipeline_configs g ON g.pipeline_id = m.pipeline_id
        WHERE m.algorithm_id = t.id AND g.project_id = %(project_id)s AND g.enabled AND g.{_OF_VISIBLE}
    )""",
)
SERVICES = Listing(
    table="processing_services",
    columns=f"""t.id, t.name, t.description, t.endpoint_url, t.last_seen_live,
        {times("last_seen", "created_at", "updated_at")}, works_for.projects, offers.pipelines""",
    related=f"""
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(w.project_id ORDER BY w.project_id) AS projects
        FROM processing_service_projects w WHERE w.processing_service_id = t.id AND w.{_OF_VISIBLE}
    ) works_for ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg({_PIPELINE} ORDER BY l.id) AS pipelines
        FROM processing_service_pipelines m JOIN pipelines l ON l.id = m.pipeline_id
        WHERE m.processing_service_id = t.id
    ) offers ON true
    """,
    seen=f"""EXISTS (
        SELECT 1 FROM processing_service_projects w WHERE w.processing_service_id = t.id AND w.{_OF_VISIBLE}
    )""",
    in_project=f"""EXISTS (
        SELECT 1 FROM processing_service_projects w
        WHERE w.processing_service_id = t.id AND w.project_id = %(project_id)s AND w.{_OF_VISIBLE}
    )""",
)
