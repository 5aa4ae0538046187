package schema

import "strings"

// fastScanUser decodes a user in the layout that Build writes, if no string in it
// has an escape. It is readWholeUser for nearly all users, at a fraction of the
// cost. It returns false for any other layout.
func fastScanUser(value []byte) (u *User, ok bool) {
	for _, c := range value {
		if c == '\\' || c < ' ' || c == 0x7f {
			return nil, false
		}
	}
	// Most users have one role: the list of it is in one piece with the user.
	own := new(struct {
		User
		role [1]string
	})
	u = &own.User
	rest := string(value) // the one copy that all texts share
	if u.ID, rest, ok = cutMember(rest, `{"id":"`, maxUserID); !ok || u.ID == "" {
		return nil, false
	}
	if u.Email, rest, ok = cutMember(rest, `,"email":"`, maxUserEmail); !ok {
		return nil, false
	}
	if rest, ok = strings.CutPrefix(rest, `,"roles":[`); !ok {
		return nil, false
	}
	u.Roles = own.role[:0]
	if count := min(strings.Count(rest, `"`)/2, maxUserRoles); count > len(own.role) {
		u.Roles = make([]string, 0, count)
	}
	for rest[:min(1, len(rest))] != "]" {
		before := `,"`
		if len(u.Roles) == 0 {
			before = `"`
		}
		var role string
		if role, rest, ok = cutMember(rest, before, maxUserRole); !ok || len(u.Roles) == maxUserRoles {
			return nil, false
		}
		u.Roles = append(u.Roles, role)
	}
	switch rest = rest[1:]; {
	case rest == "}":
		return u, true
	case strings.HasSuffix(rest, "}}"):
		u.Auth, ok = fastScanAuth(rest[:len(rest)-len("}}")])
		return u, ok
	}
	return nil, false
}

// fastScanAuth decodes an authentication, without the brace that ends it.
func fastScanAuth(rest string) (a *Authentication, ok bool) {
	a = &Authentication{Methods: []string{}}
	if rest, ok = strings.CutPrefix(rest, authStart); !ok || len(rest) < timeLen {
		return nil, false
	}
	if a.Time, ok = parseTime(rest[:timeLen]); !ok {
		return nil, false
	}
	if rest, ok = strings.CutPrefix(rest[timeLen:], authMethods); !ok {
		return nil, false
	}
	list, level, ok := strings.Cut(rest, authLevel)
	if !ok {
		return nil, false
	}
	if a.Level, rest, ok = cutMember(level, `"`, maxAuthLevel); !ok || rest != "" || a.Level != "" && !ValidAuthName(a.Level) {
		return nil, false
	}
	for list != "" {
		before := `,"`
		if len(a.Methods) == 0 {
			before = `"`
		}
		var method string
		if method, list, ok = cutMember(list, before, maxAuthMethod); !ok || len(a.Methods) == maxAuthMethods || !ValidAuthName(method) {
			return nil, false
		}
		a.Methods = append(a.Methods, method)
	}
	return a, true
}

// cutMember cuts the prefix before, a string of at most limit bytes, and its
// closing quote from s.
func cutMember(s, before string, limit int) (text, rest string, ok bool) {
	if s, ok = strings.CutPrefix(s, before); !ok {
		return "", "", false
	}
	text, rest, ok = strings.Cut(s, `"`)
	return text, rest, ok && len(text) <= limit
}
