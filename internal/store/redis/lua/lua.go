// Package lua holds the Lua scripts of the store on Redis, and runs them: each is
// one step on its server, and what the store's guarantees rest on.
//
//	lua.go        the scripts
//	run.go        calls of scripts, and their answers
//	migration.go  calls while a Cluster moves their keys to another server
//
// A script is common.lua followed by its own file; those that change sessions have
// events.lua before that, and those that visitors can make Redis grow by have
// reserve.lua.
package lua

import (
	"crypto/sha1" //nolint:gosec // how Redis names scripts
	_ "embed"     // the scripts
	"encoding/hex"
	"strings"
)

var (
	//go:embed common.lua
	commonLua string
	//go:embed events.lua
	eventsLua string
	//go:embed reserve.lua
	reserveLua string
	//go:embed read.lua
	readLua string
	//go:embed create.lua
	createLua string
	//go:embed swap.lua
	swapLua string
	//go:embed touch.lua
	touchLua string
	//go:embed delete.lua
	deleteLua string
	//go:embed move.lua
	moveLua string
	//go:embed activate.lua
	activateLua string
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
	//go:embed head.lua
	headLua string
)

// The scripts. The comment of each file says what it takes and what it answers.
var (
	Read          = newScript(readLua)
	Create        = newScript(eventsLua + reserveLua + createLua)
	Swap          = newScript(eventsLua + reserveLua + swapLua)
	Touch         = newScript(allowOOM + eventsLua + touchLua)
	Delete        = newScript(allowOOM + eventsLua + deleteLua)
	Move          = newScript(moveLua)
	Activate      = newScript(allowOOM + eventsLua + activateLua)
	Retract       = newScript(retractLua)
	Expire        = newScript(expireLua)
	Limit         = newScript(allowOOM + limitLua)
	Renew         = newScript(renewLua)
	Release       = newScript(releaseLua)
	PublishEvents = newScript(allowOOM + eventsLua + publishEventsLua)
	Follow        = newScript(allowOOM + eventsLua + followLua)
	Adopt         = newScript(adoptLua)
	Discard       = newScript(allowOOM + eventsLua + discardLua)
	Probe         = newScript(allowOOM + probeLua)
	Lookup        = newScript(lookupLua)
	Head          = newScript(headLua)
)

// allowOOM starts a script that may write although memory is full: what frees
// more than it takes, or takes little for a while.
const allowOOM = "#!lua flags=allow-oom\n"

// Script is a Lua script, which a server runs as one step.
type Script struct{ text, sha string }

func newScript(text string) Script {
	text, flagged := strings.CutPrefix(text, allowOOM)
	text = commonLua + text
	if flagged {
		text = allowOOM + text
	}
	sum := sha1.Sum([]byte(text)) //nolint:gosec // how Redis names scripts
	return Script{text: text, sha: hex.EncodeToString(sum[:])}
}
