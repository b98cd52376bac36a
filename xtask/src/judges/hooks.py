"""What the OpenAPI document cannot say, said to schemathesis: a key belongs to one request, a version or a
cursor comes from an answer, and some parameters of a query go together. Values that the document forbids
are left as they are.

And one more check: data that the document allows is refused only with a code that the operation lists."""

import re
import uuid

import schemathesis

KEY = re.compile(r'^([!#-~][!-~]{0,254}|"[!#-~]{1,255}")$')
TAG = re.compile(r'^(\*|(W/)?("[!#-~]*"|[0-9]{1,18}([.-][!#-+\--~]{0,64})?)( ?, ?(W/)?("[!#-~]*"|[0-9]{1,18}([.-][!#-+\--~]{0,64})?)){0,20})$')
BY_PRICE = ("price", "-price")
EXPANDED_MAX = 50
WINDOW_MAX = 10_000
# Of any request: about the object that the path names, and about the key.
OF_ANY_OPERATION = {"not_found"}


def number(value):
    return int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)) else None


def fit_the_window(values):
    """Search: `offset + limit` is at most 10,000."""
    offset, limit = number(values.get("offset")), number(values.get("limit") or 50)
    if offset is not None and limit is not None and limit <= 250 and WINDOW_MAX - limit < offset < WINDOW_MAX:
        values["offset"] = WINDOW_MAX - limit


def without_nul(value):
    """U+0000 is refused everywhere, because PostgreSQL cannot store it. `allow-x00` leaves it away, but not
    where many texts that differ are wanted."""
    if isinstance(value, str):
        return value.replace("\0", "0")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): without_nul(member) for name, member in value.items()}
    return value


def go_together(path, query):
    compared = "min_price" in query or "max_price" in query or query.get("sort") in BY_PRICE
    if path in ("/v2/products", "/v2/products/search") and compared:
        query.setdefault("currency", "USD")
    if path == "/v2/products/search":
        fit_the_window(query)
    limit = number(query.get("limit", 0))
    if path.startswith("/v2/") and path.endswith("/orders") and "items" in str(query.get("expand", "")) and limit is not None and EXPANDED_MAX < limit <= 250:
        query["limit"] = EXPANDED_MAX


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and KEY.match(key):
        headers["Idempotency-Key"] = str(uuid.uuid4())
    tag = headers.get("If-Match")
    if isinstance(tag, str) and TAG.match(tag):
        headers["If-Match"] = "*"
    query = case.query or {}
    cursor = query.get("cursor")
    if isinstance(cursor, str) and 1 <= len(cursor) <= 1024:
        del query["cursor"]
    path = case.operation.path
    go_together(path, query)
    if case.meta is not None and case.meta.generation.mode.is_positive:
        cleaned = without_nul(case.body)
        # To set it at all would tell schemathesis that the body is not its own any more.
        if cleaned != case.body:
            case.body = cleaned
    if path == "/v2/products/search" and isinstance(case.body, dict):
        fit_the_window(case.body)


@schemathesis.check
def refusal_is_listed(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    if response.status_code == 401 and case.operation.path.startswith("/v2/"):
        return  # sent without a token, by the check that nothing is answered then
    answer = response.json()
    code = answer.get("code") or answer.get("error")
    listed = set(case.operation.definition.raw.get("x-error-codes", [])) | OF_ANY_OPERATION
    assert code in listed, f"Valid data was refused with `{code}`, which the operation does not list: {response.text}"
