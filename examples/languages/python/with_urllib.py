"""The life of a session with what Python brings: urllib and http.cookiejar."""

import http.cookiejar
import json
import os
import urllib.error
import urllib.request

SESSION = os.environ.get("SESSION_API", "http://localhost:8080") + "/api/session"

cookies = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))


def call(method, path="", body=None, media_type="application/json", headers=None):
    """Returns status, ETag and the document or problem. body is an object, or JSON as text."""
    data = None
    headers = dict(headers or {})
    if body is not None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        headers["Content-Type"] = media_type
    request = urllib.request.Request(SESSION + path, data=data, headers=headers, method=method)
    try:
        response = opener.open(request, timeout=30)
    except urllib.error.HTTPError as error:  # 4xx and 5xx: a response like any other
        response = error
    with response:
        text = response.read()
        return response.status, response.headers["ETag"], json.loads(text) if text else {}


status, _, problem = call("GET")
print("nobody:", status, problem["code"])

status, etag, created = call("POST", body={"inputs": {"step": 1}})
print("created:", status, created["inputs"])

status, _, read = call("GET")
print("read:", status, "the same session" if read["id"] == created["id"] else "another session")

# Change it only as it was read: the ETag is taken as it came.
condition = {"If-Match": etag}
status, _, replaced = call("PUT", body={"inputs": {"step": 2}}, headers=condition)
print("replaced:", status, replaced["inputs"])
status, _, problem = call("PUT", body={"inputs": {"step": 3}}, headers=condition)
print("too late:", status, problem["code"])

status, _, patched = call("PATCH", body={"results": {"files": ["a.csv"]}}, media_type="application/merge-patch+json")
print("patched:", status, patched["results"])

operations = [{"op": "add", "path": "/results/files/-", "value": "b.csv"}]
status, _, appended = call("POST", "/operations", operations, "application/json-patch+json")
print("appended:", status, appended["results"])

status, _, touched = call("POST", "/touch", {"ttlMs": 3600000})
print("touched:", status, "sooner" if touched["expiresAt"] < appended["expiresAt"] else "not sooner")

status, _, regenerated = call("POST", "/regenerate")
print("regenerated:", status, "another id" if regenerated["id"] != created["id"] else "the same id")

# urllib writes the whole body before it reads: the answer has to outlast that.
refusals = set()
for _ in range(6):
    status, _, problem = call("PUT", body={"inputs": {"text": "x" * 3_000_000}})
    refusals.add(f"{status} {problem['code']}")
print("too large:", *sorted(refusals))

call("PUT", body='{"meta": {"big": 12345678901234567890}}')
status, _, read = call("GET")
print("digits:", status, read["meta"]["big"])

status, _, _ = call("DELETE")
print("signed out:", status, len(cookies), "cookies")
status, _, problem = call("GET")
print("nobody again:", status, problem["code"])
