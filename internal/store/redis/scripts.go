package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // how Redis names scripts
	_ "embed"     // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"session-api/internal/store/redis/format"

	"github.com/redis/rueidis"
)

var (
	//go:embed lua/common.lua
	commonLua string
	//go:embed lua/events.lua
	eventsLua string
	//go:embed lua/reserve.lua
	reserveLua string
	//go:embed lua/read.lua
	readLua string
	//go:embed lua/create.lua
	createLua string
	//go:embed lua/swap.lua
	swapLua string
	//go:embed lua/touch.lua
	touchLua string
	//go:embed lua/delete.lua
	deleteLua string
	//go:embed lua/move.lua
	moveLua string
	//go:embed lua/publish.lua
	publishLua string
	//go:embed lua/retract.lua
	retractLua string
	//go:embed lua/expire.lua
	expireLua string
	//go:embed lua/limit.lua
	limitLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/release.lua
	releaseLua string
	//go:embed lua/tell.lua
	tellLua string
	//go:embed lua/follow.lua
	followLua string
	//go:embed lua/adopt.lua
	adoptLua string
	//go:embed lua/discard.lua
	discardLua string
	//go:embed lua/probe.lua
	probeLua string
	//go:embed lua/lookup.lua
	lookupLua string

	readScript    = newScript(readLua)
	createScript  = newScript(eventsLua + reserveLua + createLua)
	swapScript    = newScript(eventsLua + reserveLua + swapLua)
	touchScript   = newScript(allowOOM + eventsLua + touchLua)
	deleteScript  = newScript(allowOOM + eventsLua + deleteLua)
	moveScript    = newScript(moveLua)
	publishScript = newScript(allowOOM + eventsLua + publishLua)
	retractScript = newScript(retractLua)
	expireScript  = newScript(expireLua)
	limitScript   = newScript(allowOOM + limitLua)
	renewScript   = newScript(renewLua)
	releaseScript = newScript(releaseLua)
	tellScript    = newScript(allowOOM + eventsLua + tellLua)
	followScript  = newScript(allowOOM + eventsLua + followLua)
	adoptScript   = newScript(adoptLua)
	discardScript = newScript(allowOOM + eventsLua + discardLua)
	probeScript   = newScript(allowOOM + probeLua)
	lookupScript  = newScript(lookupLua)
)

// allowOOM starts a script that may write although memory is full: what frees
// more than it takes, or takes little for a while.
const allowOOM = "#!lua flags=allow-oom\n"

// script is a Lua script, that a server runs as one step.
type script struct{ text, sha string }

func newScript(text string) script {
	text, flagged := strings.CutPrefix(text, allowOOM)
	text = commonLua + text
	if flagged {
		text = allowOOM + text
	}
	sum := sha1.Sum([]byte(text)) //nolint:gosec // how Redis names scripts
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// outcome is what a script answers first, as common.lua has it.
type outcome int64

const (
	wasAbsent outcome = iota
	wasChanged
	needsStamp
	wasDone
	wasPending
	wasEnded
	wasLapsed
	wasFull
)

// answer is what a script answers.
type answer struct {
	outcome
	rest []rueidis.RedisMessage
	// told are the events that the script leaves to its caller.
	told [][]string
	// left are commands that it leaves to its caller, see apart.
	left [][]string
}

// text returns the n-th thing after the outcome.
func (a answer) text(n int) string {
	if n >= len(a.rest) {
		return ""
	}
	text, _ := a.rest[n].ToString() // nil is ""
	return text
}

// deadline returns the first thing after the outcome, where that is one.
func (a answer) deadline() int64 {
	if len(a.rest) == 0 {
		return 0
	}
	deadline, _ := a.rest[0].AsInt64()
	return deadline
}

// call is a script with what it is to work on.
type call struct {
	script
	keys, args []string
	// before is a command that is sent first where the script cannot write to the
	// keys beside its first one; nil for none.
	before []string
}

func (c call) sha(client rueidis.Client) rueidis.Completed {
	return client.B().Evalsha().Sha1(c.script.sha).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build().Pin()
}

func (c call) full(client rueidis.Client) rueidis.Completed {
	return client.B().Eval().Script(c.script.text).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build().Pin()
}

// eval runs a script. It is tried again only where the server says that it did
// not run it: where the answer was lost, nobody knows.
func (s *Store) eval(ctx context.Context, client rueidis.Client, doing string, c call) (answer, error) {
	for try := 0; ; try++ {
		result := client.Do(ctx, c.sha(client))
		if answered(result.Error(), "NOSCRIPT ") {
			result = client.Do(ctx, c.full(client))
		}
		err := result.Error()
		if answered(err, "TRYAGAIN ") && len(c.keys) > 1 {
			return s.evalApart(ctx, client, doing, c)
		}
		if refused(err) {
			s.heed(err)
			if try < maxTries && pause(ctx, try) == nil {
				continue
			}
		}
		a, err := readAnswer(doing, result)
		return a, s.ofSession(c, doing, err)
	}
}

// ofSession returns the error of a script, told from others if it works on a
// session whose key holds a value of another type.
func (s *Store) ofSession(c call, doing string, err error) error {
	if answered(err, "WRONGTYPE ") {
		if _, ok := s.keys.ParseSession(c.keys[0]); ok {
			return failed(doing, fmt.Errorf("%w: %v", format.ErrNotSession, err)) //nolint:errorlint // the server is well, so what it wraps is not to be found
		}
	}
	return err
}

// evalAll runs scripts, each for itself, in one round trip.
func (s *Store) evalAll(ctx context.Context, client rueidis.Client, doing string, calls []call) ([]answer, []error) {
	cmds := make([]rueidis.Completed, len(calls))
	for i, c := range calls {
		cmds[i] = c.sha(client)
	}
	answers, failures := make([]answer, len(calls)), make([]error, len(calls))
	for i, result := range client.DoMulti(ctx, cmds...) {
		if err := result.Error(); answered(err, "NOSCRIPT ") || refused(err) {
			answers[i], failures[i] = s.eval(ctx, client, doing, calls[i])
		} else {
			answers[i], failures[i] = readAnswer(doing, result)
			failures[i] = s.ofSession(calls[i], doing, failures[i])
		}
	}
	return answers, failures
}

func readAnswer(doing string, result rueidis.RedisResult) (answer, error) {
	list, err := result.ToArray()
	if err == nil && len(list) == 0 {
		err = errors.New("an empty answer")
	}
	if err != nil {
		return answer{}, failed(doing, err)
	}
	first, err := list[0].AsInt64()
	if err != nil {
		return answer{}, failed(doing, err)
	}
	a := answer{outcome: outcome(first), rest: list[1:]}
	if last := len(a.rest) - 1; last >= 0 && a.rest[last].IsArray() {
		if a.told, a.left, err = readTold(a.rest[last]); err != nil {
			return answer{}, failed(doing, err)
		}
		a.rest = a.rest[:last]
	}
	return a, nil
}

// maxTries is how often something that is safe to repeat is repeated.
const maxTries = 4

// pause waits before the next try, longer as they add up: 10 ms to 80 ms. The
// error is the context's.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(10 * time.Millisecond << min(try, 3))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// millis is a time as scripts and commands take it.
func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
