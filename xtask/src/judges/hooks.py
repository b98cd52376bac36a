"""What the OpenAPI document cannot say, said to schemathesis: a key belongs to one request, and a
version or a cursor comes from an answer. Values that the document forbids are left as they are."""

import re
import uuid

import schemathesis

KEY = re.compile(r'^([!#-~][!-~]{0,254}|"[!#-~]{1,255}")$')
TAG = re.compile(r'^(\*|(W/)?("[0-9]{1,18}([.-][!#-~]{0,64})?"|[0-9]{1,18}([.-][!#-~]{0,64})?))$')


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
