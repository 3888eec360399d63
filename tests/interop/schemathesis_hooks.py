"""Teaches Schemathesis NDJSON: what is sent under that name is text already."""

import schemathesis
from schemathesis.transport.requests import REQUESTS_TRANSPORT


@REQUESTS_TRANSPORT.serializer("application/x-ndjson")
def ndjson(_ctx, value):
    text = value if isinstance(value, str) else str(value)
    return {"data": text.encode("utf-8", "surrogatepass")}
