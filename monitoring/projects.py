"""What may be switched on and off in a project (domain 1.1)."""

FEATURE_FLAGS = {
    "tags": False,
    "reprocess_existing_detections": False,
    "default_filters": False,
    "reprocess_all_images": False,
    "async_pipeline_workers": True,
}
"""With what holds where nobody said. The last one decides how jobs with a pipeline are dispatched."""
