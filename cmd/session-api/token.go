package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"session-api/internal/config"
	"session-api/internal/token"
)

const tokenUsage = `Usage: session-api token new -name NAME -scope SCOPE [-namespace NAMES]
                             [-expires WHEN] [-cidr NETWORKS]
       session-api token check

new makes a service token. It prints the token, which is not stored anywhere and
cannot be shown again, and then the line for the file of SERVICE_TOKENS_FILE, which
has its SHA-256 alone. A running service reads the file again on SIGHUP.

  -name NAME         what logs and metrics call it
  -scope SCOPE       read: read sessions, lists, counts and events;
                     write: also create, change, touch, regenerate and end one;
                     admin: everything
  -namespace NAMES   the namespaces that it is for, with commas between them
                     (default all)
  -expires WHEN      a number of days such as 90d, a duration such as 12h, or a date
                     and time such as 2027-01-01T00:00:00Z (default never)
  -cidr NETWORKS     the networks or addresses of its callers, with commas between
                     them (default all)

check reads a token from standard input, and says whether it is of the form that new
prints, with the right checksum. It prints the SHA-256, by which its line is found. It
asks no service whether the token is valid there.

Exit status: 0 success, 1 failure, or not such a token; 2 wrong usage.
`

// serviceToken is the command token.
func serviceToken(args []string, std streams) error {
	var word string
	if len(args) > 0 {
		word, args = args[0], args[1:]
	}
	switch word {
	case "new":
		return newServiceToken(args, std, time.Now())
	case "check":
		if len(args) > 0 {
			return usageError("token check takes no arguments: it reads standard input, which no list of processes shows")
		}
		return checkServiceToken(std)
	case "-h", "-help", "--help":
		return write(std.out, tokenUsage)
	}
	return usageError("token: say new or check")
}

// newServiceToken makes a token at now.
func newServiceToken(args []string, std streams, now time.Time) error {
	var fields struct{ name, scope, namespace, expires, cidr string }
	flags := flag.NewFlagSet("token new", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&fields.name, "name", "", "")
	flags.StringVar(&fields.scope, "scope", "", "")
	flags.StringVar(&fields.namespace, "namespace", "", "")
	flags.StringVar(&fields.expires, "expires", "", "")
	flags.StringVar(&fields.cidr, "cidr", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return write(std.out, tokenUsage)
	case err != nil:
		return usageError("token new: " + err.Error())
	case flags.NArg() > 0:
		return usageError(fmt.Sprintf("token new: unknown argument %q", flags.Arg(0)))
	}
	var err error
	if fields.expires, err = expiryOf(fields.expires, now); err != nil {
		return usageError("token new: " + err.Error())
	}
	secret := token.NewServiceSecret()
	sum := token.Sum(secret)
	var line strings.Builder
	for _, field := range []struct{ key, value string }{
		{"name", fields.name},
		{"scope", fields.scope},
		{"namespace", fields.namespace},
		{"expires", fields.expires},
		{"cidr", fields.cidr},
		{"sha256", hex.EncodeToString(sum[:])},
	} {
		if strings.ContainsFunc(field.value, func(r rune) bool { return r <= ' ' }) {
			return usageError("token new: " + field.key + " has a space in it")
		}
		if field.value != "" {
			line.WriteString(field.key + "=" + field.value + " ")
		}
	}
	made, err := config.ParseServiceToken(line.String())
	if err != nil {
		return usageError("token new: " + err.Error())
	}
	if err := write(std.errOut, "The token, which is not shown again, and the line for the file of SERVICE_TOKENS_FILE:\n"); err != nil {
		return err
	}
	return write(std.out, secret+"\n"+config.FormatServiceToken(&made)+"\n")
}

// maxTokenDays keeps a token's end within the years that RFC 3339 can say.
const maxTokenDays = 100 * 365

// expiryOf returns when a token ends as a line has it, from how an operator says it.
func expiryOf(said string, now time.Time) (string, error) {
	if said == "" {
		return "", nil
	}
	at, err := time.Parse(time.RFC3339, said)
	if err != nil {
		var after time.Duration
		if days, ok := strings.CutSuffix(said, "d"); ok {
			n, err := strconv.ParseUint(days, 10, 32)
			if err != nil || n > maxTokenDays {
				return "", fmt.Errorf("-expires %q is no number of days from 1d to %dd", said, maxTokenDays)
			}
			after = time.Duration(n) * 24 * time.Hour
		} else if after, err = time.ParseDuration(said); err != nil {
			return "", fmt.Errorf("-expires %q is neither a number of days such as 90d, a duration such as 12h, nor a time such as 2027-01-01T00:00:00Z", said)
		}
		at = now.Add(after).Truncate(time.Second)
	}
	if !at.After(now) {
		return "", fmt.Errorf("-expires %q is not in the future", said)
	}
	return at.UTC().Format(time.RFC3339), nil
}

// checkServiceToken checks the token that is the first line of standard input.
func checkServiceToken(std streams) error {
	const longest = 4 << 10
	text, err := bufio.NewReader(io.LimitReader(std.in, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("token check: reading standard input: %w", err)
	}
	text = strings.TrimRight(text, "\r\n")
	if err := token.CheckServiceSecret(text); err != nil {
		return fmt.Errorf("token check: %w", err)
	}
	sum := token.Sum(text)
	return write(std.out, "sha256="+hex.EncodeToString(sum[:])+"\n")
}
