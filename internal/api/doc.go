// Package api is the HTTP face of the service: routes, credentials, cookies,
// and the one place where errors become problems.
//
// The route table is in routes.go, and endpoint.go calls its handlers. Those of one
// session are in session.go, for the caller's own and for one by id: findsession.go finds
// it. createsession.go, putbyid.go, regenerate.go and endsession.go hold what differs
// between the two; usersessions.go has those of the user who is signed in. listsessions.go and
// batch.go (over sessionsummary.go), jwt.go and introspect.go (over package jwt), events.go,
// transfer.go, cleanup.go, stats.go, health.go, root.go, docs.go and metrics.go the other routes. verify.go answers
// gateways, outside the router, by the rules of verifyrule.go and signinrule.go.
//
// A request: commonheaders.go, requeststate.go, credential.go (over package token),
// cookieheader.go, body.go, decode.go, query.go, conditional.go.
// Who may ask: servicetoken.go (over package token), tokenwatch.go, tokenuse.go,
// crossorigin.go, cors.go, hosts.go, ratelimit.go.
// How much at once: admission.go for memory and cpuslots.go for processors (over package
// admission), streamlimiter.go, and bodydeadlines.go and lingeringclose.go for slow clients.
// A response: responsewriter.go, sessionresponse.go, problem.go, cookie.go, issuetoken.go.
// Repeats of a request: idempotency.go, idempotencykey.go, heldanswer.go.
// What a request tells of its client: clientfacts.go (over package useragent).
// What was done by whom: audit.go, auditloop.go and auditmetrics.go (over package audit).
// Afterwards: accesslog.go, metrics.go, idempotencymetrics.go, loglimiter.go.
package api
