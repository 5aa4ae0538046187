// Package lua holds the Lua scripts of the store on Redis, and runs them: each is
// one step on its server, and what the store's guarantees rest on.
//
//	lua.go        the scripts
//	run.go        calls of scripts, and their answers
//	migration.go  calls while a Cluster moves their keys to another server
//
// A script is answers.lua, what it shares with others, and its own file. Before that
// stands direct.lua, or migrating.lua where that is how it is run. touchknown.lua stands
// alone: what a script defines costs time in every call.
package lua

import (
	"crypto/sha1" //nolint:gosec // how Redis names scripts
	_ "embed"     // the scripts
	"encoding/hex"
	"strings"
)

var (
	//go:embed direct.lua
	directLua string
	//go:embed migrating.lua
	migratingLua string
	//go:embed answers.lua
	answersLua string
	//go:embed inspect.lua
	inspectLua string
	//go:embed tombstones.lua
	tombstonesLua string
	//go:embed events.lua
	eventsLua string
	//go:embed publish.lua
	publishLua string
	//go:embed reserve.lua
	reserveLua string
	//go:embed read.lua
	readLua string
	//go:embed create.lua
	createLua string
	//go:embed swap.lua
	swapLua string
	//go:embed replace.lua
	replaceLua string
	//go:embed touch.lua
	touchLua string
	//go:embed delete.lua
	deleteLua string
	//go:embed endold.lua
	endOldLua string
	//go:embed move.lua
	moveLua string
	//go:embed publishpending.lua
	publishPendingLua string
	//go:embed activate.lua
	activateLua string
	//go:embed succeed.lua
	succeedLua string
	//go:embed retract.lua
	retractLua string
	//go:embed expire.lua
	expireLua string
	//go:embed limit.lua
	limitLua string
	//go:embed renew.lua
	renewLua string
	//go:embed release.lua
	releaseLua string
	//go:embed publishevents.lua
	publishEventsLua string
	//go:embed follow.lua
	followLua string
	//go:embed adopt.lua
	adoptLua string
	//go:embed discard.lua
	discardLua string
	//go:embed probe.lua
	probeLua string
	//go:embed lookup.lua
	lookupLua string
	//go:embed touchknown.lua
	touchKnownLua string
	//go:embed head.lua
	headLua string
	//go:embed beginrequest.lua
	beginRequestLua string
	//go:embed answerrequest.lua
	answerRequestLua string
	//go:embed abandonrequest.lua
	abandonRequestLua string
	//go:embed swapstate.lua
	swapStateLua string
)

// The scripts. The comment of each file says what it takes and what it answers.
var (
	Read          = newScript(noWrites, readLua)
	Create        = newScript(eventsLua, publishLua, inspectLua, reserveLua, createLua)
	Swap          = newScript(eventsLua, publishLua, inspectLua, tombstonesLua, reserveLua, swapLua)
	Replace       = newScript(eventsLua, publishLua, tombstonesLua, replaceLua)
	Touch         = newScript(allowOOM, eventsLua, publishLua, tombstonesLua, touchLua)
	Delete        = newScript(allowOOM, eventsLua, publishLua, inspectLua, tombstonesLua, deleteLua)
	Move          = newScript(inspectLua, tombstonesLua, endOldLua, moveLua)
	Activate      = newScript(allowOOM, eventsLua, publishLua, inspectLua, tombstonesLua, publishPendingLua, activateLua)
	Succeed       = newScript(eventsLua, publishLua, inspectLua, tombstonesLua, endOldLua, publishPendingLua, succeedLua)
	Retract       = newScript(inspectLua, retractLua)
	Expire        = newScript(inspectLua, expireLua)
	Limit         = newScript(allowOOM, inspectLua, tombstonesLua, limitLua)
	Renew         = newScript(renewLua)
	Release       = newScript(releaseLua)
	PublishEvents = newScript(allowOOM, eventsLua, publishEventsLua)
	Follow        = newScript(allowOOM, eventsLua, followLua)
	Adopt         = newScript(adoptLua)
	Discard       = newScript(allowOOM, eventsLua, publishLua, tombstonesLua, discardLua)
	Probe         = newScript(allowOOM, probeLua)
	Lookup        = newScript(lookupLua)
	Head          = newScript(headLua)

	BeginRequest   = newScript(reserveLua, beginRequestLua)
	AnswerRequest  = newScript(answerRequestLua)
	AbandonRequest = newScript(allowOOM, abandonRequestLua)
	SwapState      = newScript(swapStateLua)

	// TouchKnown is Touch for what nearly every call of that finds. It answers Changed for
	// the rest, and has then done nothing.
	TouchKnown = loaded(allowOOM + touchKnownLua)
)

// allowOOM starts a script that may write although memory is full: what frees
// more than it takes, or takes little for a while.
const allowOOM = "#!lua flags=allow-oom\n"

// noWrites starts a script that only reads, which a server runs although it takes no
// writes.
const noWrites = "#!lua flags=no-writes\n"

// Script is a Lua script, which a server runs as one step.
type Script struct {
	text, sha string
	// migrating is the same for runMigrating; nil where it is that, and where another
	// script is run in its place.
	migrating *Script
}

func newScript(parts ...string) Script {
	flags := ""
	if strings.HasPrefix(parts[0], "#!") {
		flags, parts = parts[0], parts[1:]
	}
	body := answersLua + strings.Join(parts, "")
	migrating := loaded(flags + migratingLua + body)
	s := loaded(flags + directLua + body)
	s.migrating = &migrating
	return s
}

func loaded(text string) Script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // how Redis names scripts
	return Script{text: text, sha: hex.EncodeToString(sum[:])}
}
