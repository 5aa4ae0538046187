package jsonpatch

import (
	"bytes"

	"session-api/internal/jsonscan"
)

// fewMembers is how many members are looked through one after the other.
const fewMembers = 8

// member is a member of an object. found is for AppendMerged: the target has it too.
type member struct {
	name, value []byte
	found       bool
}

// memberList holds the members of an object, quick to find by name.
type memberList struct {
	list   []member
	byName map[string]int // nil where the list is short
}

// readMembers appends an object's members to list.
func readMembers(list []member, object []byte) memberList {
	for m, ok := jsonscan.NextMember(object, 1); ok; m, ok = jsonscan.NextMember(object, m.End) {
		list = append(list, member{name: m.Name(object), value: m.Value(object)})
	}
	p := memberList{list: list}
	if len(list) > fewMembers {
		p.byName = make(map[string]int, len(list))
		for i := range list {
			p.byName[string(list[i].name)] = i
		}
	}
	return p
}

// find returns the member of that quoted name, or nil.
func (p *memberList) find(name []byte) *member {
	if p.byName != nil {
		if i, ok := p.byName[string(name)]; ok {
			return &p.list[i]
		}
		return nil
	}
	for i := range p.list {
		if bytes.Equal(p.list[i].name, name) {
			return &p.list[i]
		}
	}
	return nil
}
