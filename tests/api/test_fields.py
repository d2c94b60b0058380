"""What clients may send for each kind of field, and what they are told otherwise (contract 1.6, 1.7)."""

from typing import Any

import httpx2
import pytest

from api.crud import fields
from api.crud.fields import Boolean, Choice, Document, Field, Integer, Reference, Slug, Text
from api.http.errors import Invalid
from tests import field as field_data
from tests.golden import recorded

NAME = Text(required=True, max_length=10)
COUNT = Integer()
FLAG = Boolean()
ROW = Reference()
SLUG = Slug()
METHOD = Choice(choices=("full", "random"))
OBJECT = Document()


def parsed(field: Field, value: Any, **how: bool) -> Any:
    return fields.parse({"field": field}, {"field": value}, **how)["field"]


def message(field: Field, value: Any, **how: bool) -> str:
    """What is said of a value that does not fit."""
    with pytest.raises(Invalid) as caught:
        fields.parse({"field": field}, {"field": value}, **how)
    assert caught.value.status == 400
    [text] = caught.value.body["field"]
    return str(text)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (NAME, "Moths", "Moths"),
        (NAME, "  Moths \n", "Moths"),
        (NAME, 17, "17"),
        (NAME, 1.5, "1.5"),
        (NAME, "Σ🦋", "Σ🦋"),
        (NAME, "x" * 10, "x" * 10),
        (Text(blank=True), " ", ""),
        (COUNT, 5, 5),
        (COUNT, -5, -5),
        (COUNT, "5", 5),
        (COUNT, " -5 ", -5),
        (COUNT, "+5", 5),
        (COUNT, "5.00", 5),
        (COUNT, 5.0, 5),
        (COUNT, 2**31 - 1, 2**31 - 1),
        (COUNT, -(2**31), -(2**31)),
        *((FLAG, word, True) for word in ("true", "True", "TRUE", "t", "yes", "Y", "on", "1", 1, True)),
        *((FLAG, word, False) for word in ("false", "False", "f", "no", "N", "off", "0", 0, False)),
        (ROW, 7, 7),
        (ROW, "7", 7),
        (ROW, 2**63 - 1, 2**63 - 1),
        (SLUG, "populate-captures_2", "populate-captures_2"),
        (METHOD, "random", "random"),
        (OBJECT, {}, {}),
        (OBJECT, {"a": [1, 2.5, None, {"b": "\\u0000"}]}, {"a": [1, 2.5, None, {"b": "\\u0000"}]}),
        (OBJECT, {"a": 2**63}, {"a": 2**63}),
    ],
)
def test_a_value_that_fits_is_taken(field: Field, value: Any, expected: Any) -> None:
    found = parsed(field, value)

    assert found == expected
    assert type(found) is type(expected)


STRING = "Not a valid string."
INTEGER = "A valid integer is required."
BOOLEAN = "Must be a valid boolean."
MOST = "Ensure this value is less than or equal to 2147483647."
LEAST = "Ensure this value is greater than or equal to -2147483648."
NO_SLUG = 'Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.'


def type_error(name: str) -> str:
    return f"Incorrect type. Expected pk value, received {name}."


def anything(*values: Any) -> tuple[Any, ...]:
    """Values of any kinds, which need no type of their own."""
    return values


def short(value: Any) -> str:
    """The name of a case."""
    return repr(value)[:30]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        *((NAME, value, STRING) for value in anything(["a"], {}, True, False, "\ud800")),
        *((NAME, value, "This field may not be blank.") for value in ("", " ", "\t\n")),
        (NAME, "x" * 11, "Ensure this field has no more than 10 characters."),
        (NAME, 12345678901, "Ensure this field has no more than 10 characters."),
        (NAME, "a\x00b", "Null characters are not allowed."),
        (Text(blank=True), "\x00", "Null characters are not allowed."),
        *(
            (COUNT, value, INTEGER)
            for value in anything(
                "", "x", "5.5", "1e3", "0x10", "5 5", 5.5, 1e20, float("inf"), True, [], {}, [5]
            )
        ),
        *((COUNT, value, MOST) for value in (2**31, "2147483648", 10**30, 10**1000, "9" * 1000)),
        *((COUNT, value, LEAST) for value in (-(2**31) - 1, "-2147483649", -(10**30), -(10**1000))),
        (COUNT, "9" * 1001, "String value too large."),
        *((FLAG, value, BOOLEAN) for value in anything("perhaps", "", " true", 2, -1, [], {}, [True])),
        *(
            (ROW, value, type_error(name))
            for value, name in (
                ("x", "str"),
                ("1.5", "str"),
                (1.5, "float"),
                (True, "bool"),
                ([1], "list"),
                ({"id": 1}, "dict"),
                ("9" * 5000, "str"),
            )
        ),
        *(
            (ROW, value, f'Invalid pk "{value}" - object does not exist.')
            for value in (0, -1, "0", "-1", 2**63, 10**100)
        ),
        *((SLUG, value, NO_SLUG) for value in ("a b", "a.b", "ä", "a/b", "a\nb")),
        (SLUG, "", "This field may not be blank."),
        (SLUG, [], STRING),
        (SLUG, "x" * 256, "Ensure this field has no more than 255 characters."),
        *((METHOD, value, f'"{value}" is not a valid choice.') for value in ("nth", "", "Full", 1, True)),
        (METHOD, ["full"], "\"['full']\" is not a valid choice."),
        *(
            (OBJECT, value, f'Expected a dictionary of items but got type "{type(value).__name__}".')
            for value in anything([], "x", "{}", 1, 1.5, True)
        ),
        *((OBJECT, value, "Null characters are not allowed.") for value in ({"a": ["\x00"]}, {"\x00": 1})),
        *(
            (OBJECT, value, "Value must be valid JSON.")
            for value in ({"a": "\ud800"}, {"\ud800": 1}, {"a": 2**64}, {"a": -(2**63) - 1}, nested(500))
        ),
    ],
    ids=short,
)
def test_a_value_that_does_not_fit_is_refused_with_the_reason(
    field: Field, value: Any, expected: str
) -> None:
    assert message(field, value) == expected


@pytest.mark.parametrize("field", [NAME, COUNT, FLAG, ROW, SLUG, METHOD, OBJECT])
def test_null_is_refused_unless_the_field_says_otherwise(field: Field) -> None:
    assert message(field, None) == "This field may not be null."


@pytest.mark.parametrize("field", [Integer(nullable=True), Reference(nullable=True), Document(nullable=True)])
def test_null_is_taken_where_the_field_says_so(field: Field) -> None:
    assert parsed(field, None) is None


def test_an_empty_reference_is_null() -> None:
    assert parsed(Reference(nullable=True), "") is None
    assert message(Reference(), "") == "This field may not be null."


def test_an_empty_field_of_a_form_is_null_where_it_can_be() -> None:
    assert parsed(Integer(nullable=True), "", form=True) is None
    assert message(Integer(nullable=True), "") == INTEGER
    assert message(Integer(), "", form=True) == INTEGER
    assert message(NAME, "", form=True) == "This field may not be blank."


def test_every_field_that_does_not_fit_is_named_and_no_other() -> None:
    known = {"name": NAME, "count": COUNT, "flag": FLAG, "row": Reference(required=True), "object": OBJECT}

    with pytest.raises(Invalid) as caught:
        fields.parse(known, {"count": "x", "flag": True, "object": None, "other": "\x00"})

    assert caught.value.body == {
        "name": ["This field is required."],
        "count": [INTEGER],
        "row": ["This field is required."],
        "object": ["This field may not be null."],
    }


def test_what_is_left_out_is_left_out_and_what_is_unknown_is_ignored() -> None:
    known = {"name": NAME, "count": COUNT}

    assert fields.parse(known, {"name": "Moths", "status": "SUCCESS"}) == {"name": "Moths"}


def test_an_edit_in_part_requires_nothing_but_checks_what_is_there() -> None:
    known = {"name": NAME, "count": COUNT}

    assert fields.parse(known, {}, partial=True) == {}
    with pytest.raises(Invalid) as caught:
        fields.parse(known, {"name": None}, partial=True)
    assert caught.value.body == {"name": ["This field may not be null."]}


def test_a_form_says_no_by_saying_nothing() -> None:
    known = {"shuffle": Boolean(form_default=False)}

    assert fields.parse(known, {}, form=True) == {"shuffle": False}
    assert fields.parse(known, {}) == {}
    assert fields.parse(known, {}, form=True, partial=True) == {}


# over HTTP --------------------------------------------------------------------------------------------------


REFUSED = (
    "jobs_post_400_collection_unknown",
    "jobs_post_400_empty",
    "jobs_post_400_image_unknown",
    "jobs_post_400_name_blank",
    "jobs_post_400_name_type",
    "jobs_post_400_no_name",
    "jobs_post_400_shuffle",
)


async def test_refused_fields_of_a_job_are_answered_as_recorded(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    project_id, set_id = await field.small_set(nights=1)
    ours = {"project_id": project_id, "source_image_collection_id": set_id}

    for name in REFUSED:
        exchange = recorded(name)
        sent: dict[str, Any] = exchange.request["json"]
        # ids of the recorded server that are known there
        body = {key: ours.get(key, value) if value in (2, 4) else value for key, value in sent.items()}
        response = await client.post("/jobs/", json=body)
        assert (response.status_code, response.json()) == (exchange.status, exchange.body), name
        assert list(response.json()) == list(exchange.body)
        for header in ("allow", "content-type"):
            assert response.headers[header] == exchange.headers[header]
        assert response.headers["vary"].startswith(exchange.headers["vary"])


async def test_a_job_may_have_a_number_for_a_name_and_ids_and_delay_as_text(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    project_id, set_id = await field.small_set(nights=1)
    body = {**recorded("jobs_post_name_number").request["json"], "delay": "5", "limit": None}
    body |= {"project_id": str(project_id), "source_image_collection_id": str(set_id), "deployment_id": ""}

    response = await client.post("/jobs/", json=body)

    assert response.status_code == 201, response.text
    job = response.json()
    assert (job["name"], job["delay"], job["limit"], job["deployment"]) == ("17", 5, None, None)
    assert (job["project"]["id"], job["source_image_collection"]["id"]) == (project_id, set_id)


async def test_every_field_of_a_job_says_what_it_does_not_take(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    project_id = await field.project()
    job = {"name": "Populate", "delay": 0, "project_id": project_id}
    job["job_type_key"] = "populate_captures_collection"
    cases: list[tuple[str, Any, str]] = [
        ("name", None, "This field may not be null."),
        ("name", "x" * 256, "Ensure this field has no more than 255 characters."),
        ("name", "a\x00", "Null characters are not allowed."),
        ("delay", None, "This field may not be null."),
        ("delay", "soon", INTEGER),
        ("delay", 2**31, MOST),
        ("limit", 10**400, MOST),
        ("limit", 1.5, INTEGER),
        ("limit", -(2**31) - 1, LEAST),
        ("shuffle", None, "This field may not be null."),
        ("project_id", None, "This field may not be null."),
        ("project_id", "", "This field may not be null."),
        ("project_id", "Moths", type_error("str")),
        ("project_id", 2**63, f'Invalid pk "{2**63}" - object does not exist.'),
        ("project_id", 999999, 'Invalid pk "999999" - object does not exist.'),
        ("deployment_id", "999999", 'Invalid pk "999999" - object does not exist.'),
        ("source_image_single_id", {}, type_error("dict")),
        ("source_image_collection_id", [], type_error("list")),
        ("pipeline_id", True, type_error("bool")),
        ("job_type_key", "not a slug", NO_SLUG),
        ("job_type_key", None, "This field may not be null."),
        ("params", [], 'Expected a dictionary of items but got type "list".'),
        ("params", {"a": "\x00"}, "Null characters are not allowed."),
        ("params", {"a": 2**64}, "Value must be valid JSON."),
    ]

    answers = []
    for name, value, _ in cases:
        response = await client.post("/jobs/", json={**job, name: value})
        answers.append((response.status_code, response.json()))

    assert answers == [(400, {name: [expected]}) for name, _, expected in cases]


async def test_a_type_of_job_that_does_not_run_here_is_refused(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    job = {"name": "X", "delay": 0, "project_id": await field.project(), "job_type_key": "zzz"}

    response = await client.post("/jobs/", json=job)

    assert response.status_code == 400
    assert list(response.json()) == ["job_type_key"]
    assert '"zzz"' in response.json()["job_type_key"][0]


async def test_every_field_of_a_capture_set_says_what_it_does_not_take(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    capture_set = {"name": "Set", "project": await field.project(), "method": "full", "kwargs": {}}
    cases: list[tuple[str, Any, str]] = [
        ("name", None, "This field may not be null."),
        ("name", "", "This field may not be blank."),
        ("name", "x" * 256, "Ensure this field has no more than 255 characters."),
        ("description", None, "This field may not be null."),
        ("description", ["a"], STRING),
        ("description", "\x00", "Null characters are not allowed."),
        ("project", None, "This field may not be null."),
        ("project", "x", type_error("str")),
        ("project", 999999, 'Invalid pk "999999" - object does not exist.'),
        ("method", None, "This field may not be null."),
        ("method", "", '"" is not a valid choice.'),
        ("method", 7, '"7" is not a valid choice.'),
        ("method", ["full"], "\"['full']\" is not a valid choice."),
        ("kwargs", None, "This field may not be null."),
        ("kwargs", [], 'Expected a dictionary of items but got type "list".'),
        ("kwargs", "{}", 'Expected a dictionary of items but got type "str".'),
        ("kwargs", {"\x00": 1}, "Null characters are not allowed."),
        ("kwargs", {"hour_start": 10**400}, "Value must be valid JSON."),
    ]

    answers = []
    for name, value, _ in cases:
        response = await client.post("/captures/collections/", json={**capture_set, name: value})
        answers.append((response.status_code, response.json()))

    assert answers == [(400, {name: [expected]}) for name, _, expected in cases]


async def test_a_capture_set_needs_a_name_and_a_project_only(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    refused = await client.post("/captures/collections/", json={})
    made = await client.post("/captures/collections/", json={"name": "Set", "project": await field.project()})

    assert refused.status_code == 400
    assert refused.json() == {"name": ["This field is required."], "project": ["This field is required."]}
    assert made.status_code == 201
    assert (made.json()["method"], made.json()["kwargs"], made.json()["description"]) == ("full", {}, "")


async def test_text_that_is_no_unicode_is_refused_and_not_echoed(
    client: httpx2.AsyncClient, field: field_data.Field
) -> None:
    project_id = await field.project()
    lone = '"\\ud800"'
    bodies = {
        "name": f'{{"name": {lone}, "project": {project_id}}}',
        "description": f'{{"name": "Set", "project": {project_id}, "description": {lone}}}',
        "method": f'{{"name": "Set", "project": {project_id}, "method": {lone}}}',
        "kwargs": f'{{"name": "Set", "project": {project_id}, "kwargs": {{{lone}: 1}}}}',
        "project": f'{{"name": "Set", "project": {lone}}}',
    }

    answers = {}
    for name, body in bodies.items():
        response = await client.post(
            "/captures/collections/", content=body, headers={"Content-Type": "application/json"}
        )
        answers[name] = (response.status_code, list(response.json()))

    assert answers == {name: (400, [name]) for name in bodies}
