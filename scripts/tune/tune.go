// Package tune is `noctule tune`: it carries the script that compares a machine with a profile, and the profiles, and
// runs them. It knows nothing of the broker, and it never changes the machine: apply and revert, beside this file, are
// for a person to run from the source. Read check first, then a file in profiles.
package tune

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// files is what check needs.
//
//go:embed check common.sh profiles
var files embed.FS

// exitFailed is the exit status when the script could not be run; its own are 0, 1 and 2.
const exitFailed = 1

// Main runs check with the arguments and returns its exit status.
func Main(args []string) int {
	status, err := run(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: tune: %s\n", err)
		return exitFailed
	}
	return status
}

// run writes the files to a temporary directory for as long as the script takes. A signal ends the script first, so that
// the directory is removed then too.
func run(args []string) (int, error) {
	dir, err := os.MkdirTemp("", "noctule-tune-")
	if err != nil {
		return 0, fmt.Errorf("make a directory for the script: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, files); err != nil {
		return 0, fmt.Errorf("write the script: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{filepath.Join(dir, "check")}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run the script: %w", err)
	}
	return 0, nil
}
