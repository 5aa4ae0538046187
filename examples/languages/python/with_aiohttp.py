"""The life of a session with aiohttp, whose ClientSession keeps the cookie."""

import asyncio
import json
import os

import aiohttp

SESSION = os.environ.get("SESSION_API", "http://localhost:8080") + "/api/session"
COOKIE = "validator_session_id"


async def call(client, method, path="", body=None, media_type="application/json", headers=None):
    """Returns status, ETag and the document or problem. body is an object, or JSON as text."""
    headers = dict(headers or {})
    if body is not None:
        headers["Content-Type"] = media_type
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    async with client.request(method, SESSION + path, data=body, headers=headers) as response:
        text = await response.read()
        return response.status, response.headers.get("ETag"), json.loads(text) if text else {}


async def main():
    # Hosts that are bare addresses, such as 127.0.0.1, need CookieJar(unsafe=True).
    cookies = aiohttp.CookieJar()
    async with aiohttp.ClientSession(cookie_jar=cookies, timeout=aiohttp.ClientTimeout(total=30)) as client:
        status, _, problem = await call(client, "GET")
        print("nobody:", status, problem["code"])

        status, etag, created = await call(client, "POST", body={"inputs": {"step": 1}})
        print("created:", status, created["inputs"])

        status, _, read = await call(client, "GET")
        print("read:", status, "the same session" if read.get("id") == created["id"] else "another session")

        # Change it only as it was read: the ETag is taken as it came.
        condition = {"If-Match": etag}
        status, _, replaced = await call(client, "PUT", body={"inputs": {"step": 2}}, headers=condition)
        print("replaced:", status, replaced["inputs"])
        status, _, problem = await call(client, "PUT", body={"inputs": {"step": 3}}, headers=condition)
        print("too late:", status, problem["code"])

        change = {"results": {"files": ["a.csv"]}}
        status, _, patched = await call(client, "PATCH", body=change, media_type="application/merge-patch+json")
        print("patched:", status, patched["results"])

        operations = [{"op": "add", "path": "/results/files/-", "value": "b.csv"}]
        status, _, appended = await call(client, "POST", "/operations", operations, "application/json-patch+json")
        print("appended:", status, appended["results"])

        status, _, touched = await call(client, "POST", "/touch", {"ttlMs": 3600000})
        print("touched:", status, "sooner" if touched["expiresAt"] < appended["expiresAt"] else "not sooner")

        status, _, regenerated = await call(client, "POST", "/regenerate")
        print("regenerated:", status, "another id" if regenerated["id"] != created["id"] else "the same id")

        refusals = set()
        for _ in range(6):
            status, _, problem = await call(client, "PUT", body={"inputs": {"text": "x" * 3_000_000}})
            refusals.add(f"{status} {problem['code']}")
        print("too large:", *sorted(refusals))

        await call(client, "PUT", body='{"meta": {"big": 12345678901234567890}}')
        status, _, read = await call(client, "GET")
        print("digits:", status, read["meta"]["big"])

        status, _, _ = await call(client, "DELETE")
        print("signed out:", status, len(cookies), "cookies")
        status, _, problem = await call(client, "GET")
        print("nobody again:", status, problem["code"])

        # A token from elsewhere, sent as the cookie: with a "/" in it, aiohttp puts it in quotes.
        token = ""
        while "/" not in token:
            _, _, issued = await call(client, "POST", "?transport=bearer")
            token = issued["token"]
    async with aiohttp.ClientSession(cookies={COOKIE: token}) as client:
        status, _, read = await call(client, "GET")
        print("quoted:", status, "the same session" if read.get("id") == issued["id"] else "another session")


asyncio.run(main())
