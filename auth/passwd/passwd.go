package passwd

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/noctulemq/noctule/auth"
)

// Exit codes, as mosquitto_passwd has them.
const (
	exitOK       = 0
	exitError    = 1
	exitMismatch = 2 // the password was not repeated
)

// iterationsDefault is what -I changes. A login costs about half a millisecond with it.
const iterationsDefault = 1000

// nameBytesMax is the length of the longest string of MQTT, and so of user names and passwords.
const nameBytesMax = 65535

// options is what the flags say.
type options struct {
	batch, create, remove, upgrade bool
	scheme                         auth.Scheme
	iterations                     int
	file, user, password           string
}

// Main runs the tool and returns its exit code. name is what it was called as, for the usage; args are the arguments behind
// it. Passwords are read from stdin: without echo where it is a terminal.
func Main(name string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, errUsage) {
		usage(stdout, name)
		return exitError
	}
	if err == nil {
		err = run(o, stdin, stdout)
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	if errors.Is(err, errMismatch) {
		return exitMismatch
	}
	return exitError
}

// complaint is an error that is shown as it stands.
type complaint string

func (c complaint) Error() string { return string(c) }

func complain(format string, a ...any) error { return complaint(fmt.Sprintf(format, a...)) }

const (
	errUsage    complaint = "usage"
	errMismatch complaint = "Error: Passwords do not match."
)

func usage(w io.Writer, name string) {
	fmt.Fprintf(w, `%[1]s keeps the users and hashed passwords of a password_file.

Usage: %[1]s [-H HASH] [-I N] [-c] FILE USER
       %[1]s [-H HASH] [-I N] [-c] -b FILE USER PASSWORD
       %[1]s -D FILE USER
       %[1]s [-H HASH] [-I N] -U FILE

 -b : take the password from the command line, where others can see it.
 -c : make a new file; one that exists is overwritten. With - as FILE the line goes to standard output.
 -D : delete the user.
 -H : how to hash: sha512-pbkdf2 (the default), argon2id (not for Mosquitto before 2.1), or sha512 (for Mosquitto 1.6).
 -I : iterations of sha512-pbkdf2, %[2]d if not given.
 -U : hash the passwords of a file that are not hashed yet.
`, name, iterationsDefault)
}

// parse reads the arguments, with Mosquitto's sentences.
func parse(args []string) (options, error) {
	o := options{iterations: iterationsDefault}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		flag := args[0]
		args = args[1:]
		switch flag {
		case "-b":
			o.batch = true
		case "-c":
			o.create = true
		case "-D":
			o.remove = true
		case "-U":
			o.upgrade = true
		case "-H", "-I":
			if len(args) == 0 {
				return o, complain("Error: %s argument given but not enough other arguments.", flag)
			}
			if err := o.setValue(flag, args[0]); err != nil {
				return o, err
			}
			args = args[1:]
		default:
			return o, errUsage
		}
	}
	if err := o.checkFlags(); err != nil {
		return o, err
	}
	return o, o.setArguments(args)
}

// setValue takes the value of -H or -I.
func (o *options) setValue(flag, value string) error {
	if flag == "-I" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return complaint("Error: Number of iterations must be > 0.")
		}
		if n > auth.IterationsMax {
			return complain("Error: Number of iterations must be at most %d.", auth.IterationsMax)
		}
		o.iterations = n
		return nil
	}
	switch value {
	case "sha512":
		o.scheme = auth.SHA512
	case "sha512-pbkdf2":
		o.scheme = auth.PBKDF2
	case "argon2id":
		o.scheme = auth.Argon2id
	default:
		return complain("Error: Unknown hash type '%s'", value)
	}
	return nil
}

// checkFlags refuses flags that contradict each other.
func (o *options) checkFlags() error {
	for _, pair := range []struct {
		both  bool
		names string
	}{
		{o.create && o.remove, "-c and -D"},
		{o.create && o.upgrade, "-c and -U"},
		{o.remove && o.upgrade, "-D and -U"},
		{o.batch && o.remove, "-b and -D"},
	} {
		if pair.both {
			return complain("Error: %s cannot be used together.", pair.names)
		}
	}
	return nil
}

// setArguments takes file, user and password.
func (o *options) setArguments(args []string) error {
	want := 2
	switch {
	case o.upgrade:
		if want = 1; len(args) != want {
			return complaint("Error: -U argument given but password file missing.")
		}
	case o.remove:
		if len(args) < want { // what follows is ignored with -D and -c
			return complaint("Error: -D argument given but password file or username missing.")
		}
	case o.create && o.batch:
		if want = 3; len(args) < want {
			return complaint("Error: -c argument given but password file, username, or password missing.")
		}
	case o.create:
		if len(args) < want {
			return complaint("Error: -c argument given but password file or username missing.")
		}
	default:
		if o.batch {
			want = 3
		}
		if len(args) != want {
			return errUsage
		}
	}
	o.file = args[0]
	if want > 1 {
		o.user = args[1]
	}
	if want > 2 {
		o.password = args[2]
	}
	return o.checkUser()
}

// checkUser refuses names and passwords that a client could not send or a file could not hold.
func (o *options) checkUser() error {
	first := strings.TrimLeft(o.user, " ")
	switch {
	case o.upgrade:
		return nil
	case strings.Contains(o.user, ":"):
		return complaint("Error: Username must not contain the ':' character.")
	case strings.ContainsFunc(o.user, unicode.IsControl):
		return complaint("Error: Username must not contain control characters.")
	case len(o.user) > nameBytesMax:
		return complain("Error: Username must be less than %d characters long.", nameBytesMax+1)
	case o.user == "":
		return complaint("Error: Username must not be empty.")
	case !o.remove && (first != o.user || first[0] == '#'):
		return complaint("Error: Username must not begin with a blank or '#': a password file could not hold it.")
	}
	return checkPassword(o.password)
}

func checkPassword(password string) error {
	if len(password) > nameBytesMax {
		return complain("Error: Password must be less than %d characters long.", nameBytesMax+1)
	}
	return nil
}

// run changes the file.
func run(o options, stdin io.Reader, stdout io.Writer) error {
	switch {
	case o.upgrade:
		return change(o.file, o.hashPlain)
	case o.remove:
		return change(o.file, o.removeUser)
	case !o.create:
		// Whoever has to type a password learns before that there is no such file.
		f, err := open(o.file)
		if err != nil {
			return err
		}
		f.Close()
	}
	if !o.batch {
		var err error
		if o.password, err = ask(stdin, stdout); err != nil {
			return err
		}
	}
	entry := o.entry(o.user, o.password)
	switch {
	case o.create && o.file == "-":
		_, err := fmt.Fprintln(stdout, entry.text)
		return err
	case o.create:
		return create(o.file, []line{entry})
	}
	return change(o.file, func(lines []line) ([]line, error) { return set(lines, entry), nil })
}
