package passwd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// ask reads a password twice.
func ask(stdin io.Reader, stdout io.Writer) (string, error) {
	read := lineReader(stdin)
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		restore, err := watch(int(f.Fd()))
		if err != nil {
			return "", complain("Error: Unable to read from the terminal. %s.", reason(err))
		}
		defer restore()
		read = func() string {
			b, _ := term.ReadPassword(int(f.Fd())) // an error is an empty password
			return string(b)
		}
	}
	first, err := askOnce("Password: ", read, stdout)
	if err != nil {
		return "", err
	}
	second, err := askOnce("Reenter password: ", read, stdout)
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errMismatch
	}
	return first, checkPassword(first)
}

func askOnce(prompt string, read func() string, stdout io.Writer) (string, error) {
	fmt.Fprint(stdout, prompt)
	password := read()
	if password == "" {
		return "", complaint("Error: Empty password.")
	}
	fmt.Fprintln(stdout)
	return password, nil
}

// lineReader reads lines; the last one may lack its line feed, and at the end they are empty. All of them together have at
// most four times the length of a password.
func lineReader(r io.Reader) func() string {
	lines := bufio.NewReader(io.LimitReader(r, 4*nameBytesMax))
	return func() string {
		text, _ := lines.ReadString('\n')
		return strings.TrimRight(text, "\r\n")
	}
}

// watch turns the terminal's echo on again if a signal ends the program while a password is typed. restore ends the
// watching.
func watch(fd int) (restore func(), err error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case s := <-signals:
			_ = term.Restore(fd, state)
			signal.Reset(s)
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(os.Getpid(), number)
			}
		case <-done:
		}
	}()
	return func() { signal.Stop(signals); close(done) }, nil
}
