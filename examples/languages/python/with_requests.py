"""The life of a session with requests, whose Session keeps the cookie."""

import os

import requests

SESSION = os.environ.get("SESSION_API", "http://localhost:8080") + "/api/session"
MERGE, OPERATIONS = "application/merge-patch+json", "application/json-patch+json"

client = requests.Session()


def call(method, path="", media_type="application/json", condition=None, **body):
    """body is json=an object, or data=JSON as text."""
    headers = {"If-Match": condition} if condition else {}
    if body:
        headers["Content-Type"] = media_type
    return client.request(method, SESSION + path, headers=headers, timeout=30, **body)


answer = call("GET")
print("nobody:", answer.status_code, answer.json()["code"])

answer = call("POST", json={"inputs": {"step": 1}})
created = answer.json()
print("created:", answer.status_code, created["inputs"])
etag = answer.headers["ETag"]

answer = call("GET")
print("read:", answer.status_code, "the same session" if answer.json()["id"] == created["id"] else "another session")

# Change it only as it was read: the ETag is taken as it came.
answer = call("PUT", json={"inputs": {"step": 2}}, condition=etag)
print("replaced:", answer.status_code, answer.json()["inputs"])
answer = call("PUT", json={"inputs": {"step": 3}}, condition=etag)
print("too late:", answer.status_code, answer.json()["code"])

answer = call("PATCH", media_type=MERGE, json={"results": {"files": ["a.csv"]}})
print("patched:", answer.status_code, answer.json()["results"])

answer = call("POST", "/operations", OPERATIONS, json=[{"op": "add", "path": "/results/files/-", "value": "b.csv"}])
appended = answer.json()
print("appended:", answer.status_code, appended["results"])

answer = call("POST", "/touch", json={"ttlMs": 3600000})
print("touched:", answer.status_code, "sooner" if answer.json()["expiresAt"] < appended["expiresAt"] else "not sooner")

answer = call("POST", "/regenerate")
print("regenerated:", answer.status_code, "another id" if answer.json()["id"] != created["id"] else "the same id")

refusals = set()
for _ in range(6):
    answer = call("PUT", json={"inputs": {"text": "x" * 3_000_000}})
    refusals.add(f"{answer.status_code} {answer.json()['code']}")
print("too large:", *sorted(refusals))

call("PUT", data='{"meta": {"big": 12345678901234567890}}')
answer = call("GET")
print("digits:", answer.status_code, answer.json()["meta"]["big"])

answer = call("DELETE")
print("signed out:", answer.status_code, len(client.cookies), "cookies")
answer = call("GET")
print("nobody again:", answer.status_code, answer.json()["code"])
