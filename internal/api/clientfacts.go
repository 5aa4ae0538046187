package api

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync/atomic"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/useragent"
)

// ClientRecord is what is stored of the client that uses a session. It is personal data.
// The zero value stores nothing, and what an earlier setting stored goes with the next
// write.
type ClientRecord struct {
	// Agent stores its User-Agent, and the label that this gets.
	Agent bool
	// IP stores its address too: the network, or with WholeIP the address itself.
	IP, WholeIP bool
}

// requestFacts is the store.Observer of one request: what it tells of its session beside
// the document. The zero value tells nothing.
type requestFacts struct {
	server *Server
	// visitor is the request, where it comes from the client that uses the session.
	visitor *http.Request
	// said is what the body says, nil for nothing. It is apart because few bodies do.
	said *saidFacts
}

// saidFacts is what a body says of a session beside its document; nil for what it does
// not.
type saidFacts struct {
	remember *bool
	client   *schema.Client // which a service names
}

// Observe implements store.Observer.
func (f *requestFacts) Observe(facts schema.Facts) schema.Facts {
	switch {
	case f.said != nil && f.said.client != nil:
		facts = facts.WithClient(f.server.record(*f.said.client))
	case f.visitor != nil:
		facts = f.server.observe(facts, f.visitor)
	}
	if f.said != nil && f.said.remember != nil {
		facts = facts.WithRemember(*f.said.remember)
	}
	return facts
}

// observeVisitor makes the request tell from which client its session is used, unless a
// service sends it for its visitor.
func (s *Server) observeVisitor(r *http.Request, cred *credential) {
	if !cred.service {
		f := &stateOf(r).facts
		f.server, f.visitor = s, r
	}
}

// observeBody makes the request tell what its body says.
func (s *Server) observeBody(r *http.Request, said saidFacts) {
	if said != (saidFacts{}) {
		f, kept := &stateOf(r).facts, said // most say nothing, and allocate nothing
		f.server, f.said = s, &kept
	}
}

// settledFacts is the store.Observer of a request that is over: from a session with
// the facts before, after is made of them.
type settledFacts struct{ before, after schema.Facts }

// Observe implements store.Observer.
func (f settledFacts) Observe(facts schema.Facts) schema.Facts {
	if facts == f.before {
		return f.after
	}
	return facts
}

// record returns the client as far as the settings let it be stored.
func (s *Server) record(c schema.Client) schema.Client {
	if !s.Client.Agent {
		return schema.Client{}
	}
	if !s.Client.IP {
		c.IP = ""
	} else if !s.Client.WholeIP {
		c.IP, _ = schema.CutIP(c.IP)
	}
	if c.Label == "" {
		c.Label = useragent.Label(c.UserAgent)
	}
	return c
}

// observe returns the facts of a session that the request uses. A request without a
// User-Agent says nothing of the program.
func (s *Server) observe(facts schema.Facts, r *http.Request) schema.Facts {
	before := facts.Client()
	after := schema.Client{}
	if s.Client.Agent {
		known := s.agents.get(r.Header)
		switch {
		case known == nil:
			after = before
		case facts == schema.Facts{} && !s.Client.IP:
			return known.facts // one text for all sessions of such a client
		default:
			after = known.client
			after.Label = s.agents.label(before, known)
		}
		after.IP = ""
		if s.Client.IP {
			after.IP = s.clientIP(r)
		}
	}
	if after == before {
		return facts
	}
	return facts.WithClient(after)
}

// clientIP returns the address of the request's client as it is stored.
func (s *Server) clientIP(r *http.Request) (ip string) {
	if s.Client.WholeIP {
		ip, _ = schema.WholeIP(s.proxies.Client(r))
	} else {
		ip, _ = schema.CutIP(s.proxies.Client(r))
	}
	return ip
}

// agents caches what is known of User-Agent headers: to name one takes some 10 µs, and
// few are in use at a time.
type agents struct {
	seed maphash.Seed
	sets [1 << 10]atomic.Pointer[agent]
}

// agent is a User-Agent header, never changed.
type agent struct {
	sent string
	// client has no IP, and facts are that client's.
	client schema.Client
	facts  schema.Facts
}

func newAgents() *agents { return &agents{seed: maphash.MakeSeed()} }

// get returns what is known of the User-Agent of a request, nil where it sends none.
func (a *agents) get(h http.Header) *agent {
	values := h["User-Agent"]
	if len(values) == 0 || values[0] == "" {
		return nil
	}
	return a.of(values[0])
}

// of is get for a header that is not empty.
func (a *agents) of(sent string) *agent {
	sent = sent[:min(len(sent), schema.MaxUserAgent)]
	place := &a.sets[maphash.String(a.seed, sent)%uint64(len(a.sets))]
	if known := place.Load(); known != nil && known.sent == sent {
		return known
	}
	known := &agent{sent: strings.Clone(sent)} // it is a part of all that a request says
	known.facts = schema.Facts{}.WithClient(schema.Client{UserAgent: known.sent, Label: useragent.Label(known.sent)})
	known.client = known.facts.Client()
	place.Store(known)
	return known
}

// label returns the label of a session that now is agent's and had the client before. One
// that a service has given stays while the program is of the family that it was of.
func (a *agents) label(before schema.Client, now *agent) string {
	switch {
	case before.Label == "":
		return now.client.Label
	case before.UserAgent == "", before.UserAgent == now.client.UserAgent:
		return before.Label
	}
	was := a.of(before.UserAgent).client.Label
	if before.Label != was && schema.Family(was) == schema.Family(now.client.Label) {
		return before.Label
	}
	return now.client.Label
}

// observing returns the context of a change that may outlast its request, for a session
// with the facts.
func (s *Server) observing(r *http.Request, facts schema.Facts) store.Observer {
	return settledFacts{facts, s.observe(facts, r)}
}
