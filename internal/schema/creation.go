package schema

// Creation is the body of a request that creates a session: an Input, and what is said
// of the session beside its document.
type Creation struct {
	*Input
	// Remember says whether the session is remembered when the browser is closed; nil
	// where the body does not.
	Remember *bool
	// Client is the client that the session is created for; nil where the body names
	// none.
	Client *Client
}

// DecodeCreationInPlace is DecodeInputInPlace for a body that creates a session. It may
// name a client only where withClient says so.
func (r *Rules) DecodeCreationInPlace(body []byte, withClient bool) (Creation, error) {
	p := bodyMembers{creationMembers: creationMembers{takes: takesRemember}}
	if withClient {
		p.takes = takesClient
	}
	in, err := r.decodeInputMembers(body, &p, true)
	if err != nil {
		return Creation{}, err
	}
	return Creation{Input: in, Remember: p.remember, Client: p.client}, nil
}

// creationMembers are the members that only a body has which creates.
type creationMembers struct {
	takes    takenMembers
	remember *bool
	client   *Client
}

// takenMembers are those of them that a body may have.
type takenMembers int

const (
	takesNone takenMembers = iota
	takesRemember
	takesClient // and remember
)

// read reads a member, and reports whether it is one that the body may have.
func (c *creationMembers) read(name string, value []byte, m *fieldErrors) bool {
	switch {
	case name == "remember" && c.takes >= takesRemember:
		c.remember = readRemember(value, m)
	case name == "client" && c.takes == takesClient:
		client := readClient(value, "/client", m)
		c.client = &client
	default:
		return false
	}
	return true
}

var rememberValues = map[string]*bool{"true": new(true), "false": new(false)}

// readRemember reads a remember.
func readRemember(value []byte, m *fieldErrors) *bool {
	remember := rememberValues[string(value)]
	if remember == nil {
		m.add("/remember", "must be true or false")
	}
	return remember
}
