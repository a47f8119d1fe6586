package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/noctulemq/noctule/auth/passwd"
	"github.com/noctulemq/noctule/bench"
	"github.com/noctulemq/noctule/scripts/tune"
)

// toolNames are the names that make this program one of Mosquitto's tools when it is called by them.
var toolNames = map[string]string{"mosquitto_passwd": "passwd", "mosquitto_signal": "signal"}

// commandNames are the first arguments that are commands; everything else is for the broker, as with Mosquitto. The last
// two are what the completion scripts call.
var commandNames = []string{"bench", "completion", "config", "db", "help", "passwd", "signal", "tune", "version", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}

func isCommand(name string) bool { return slices.Contains(commandNames, name) }

// toolCalled is what a tool calls itself: the name it was called by, or ours and its own.
func toolCalled(called, tool string) string {
	name := filepath.Base(called)
	if _, ok := toolNames[name]; ok {
		return name
	}
	return name + " " + tool
}

// exitStatus is the exit status of a command as an error.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// runCommand runs a command with its arguments and returns its exit status. called is the name of the program as called.
func runCommand(called string, args []string) int {
	root := newRoot(called)
	root.SetArgs(args)
	var status exitStatus
	switch err := root.Execute(); {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	default:
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		return exitConfig
	}
}

// newRoot is the tree of commands. The broker's flags are in it for the completion scripts only; parseFlags reads them.
func newRoot(called string) *cobra.Command {
	root := &cobra.Command{
		Use:               "noctule",
		Short:             "An MQTT broker; without a command it runs, with Mosquitto's flags",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Run:               func(*cobra.Command, []string) {},
	}
	flags := root.Flags()
	flags.StringP("config-file", "c", "", "configuration file")
	flags.BoolP("daemon", "d", false, "run in the background")
	flags.StringP("port", "p", "", "listen on this port")
	flags.BoolP("quiet", "q", false, "log nothing")
	flags.BoolP("verbose", "v", false, "log everything")
	flags.Bool("test-config", false, "check the configuration and exit")
	flags.String("tls-keylog", "", "file for TLS session keys")
	flags.Bool("version", false, "print the version")
	_ = root.MarkFlagFilename("config-file", "conf") // fails for flags that do not exist
	root.AddCommand(
		foreign("bench", "Measure any MQTT broker over the wire", nil, func(args []string) int { return bench.Main(args) }),
		foreign("tune", "Say what this machine allows", []string{"pi", "gateway", "server-100k", "server-1m"},
			func(args []string) int { return tune.Main(args) }),
		foreign("passwd", "Manage a password file, as mosquitto_passwd does", nil,
			func(args []string) int {
				return passwd.Main(toolCalled(called, "passwd"), args, os.Stdin, os.Stdout, os.Stderr)
			}),
		foreign("signal", "Send a signal to running brokers by its name", signalWords(),
			func(args []string) int { return signalMain(toolCalled(called, "signal"), args, os.Stdout, os.Stderr) }),
		configCommand(),
		dbCommand(),
		completionCommand(),
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) { printVersion() }},
	)
	return root
}

// foreign is a command that reads its arguments itself. words are offered as its arguments.
func foreign(name, short string, words []string, run func(args []string) int) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, DisableFlagParsing: true, ValidArgs: words,
		RunE: func(_ *cobra.Command, args []string) error {
			if status := run(args); status != exitOK {
				return exitStatus(status)
			}
			return nil
		},
	}
}

// shells are the shells that have a completion script, with who writes it.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print the completion script of a shell: bash, fish or zsh",
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"bash", "fish", "zsh"},
		RunE: func(c *cobra.Command, args []string) error { return shells[args[0]](c.Root(), os.Stdout) },
	}
}
