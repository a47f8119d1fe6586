package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/noctulemq/noctule/config"
)

// configCommand is `noctule config`.
func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and explain configurations", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var file string
	explain := &cobra.Command{
		Use: "explain [-c FILE] [KEY]", Short: "Say what holds for a key, or for every key, and where that was said",
		Args: cobra.MaximumNArgs(1), ValidArgs: config.KeyNames(),
		RunE: func(_ *cobra.Command, args []string) error { return explainConfig(os.Stdout, file, args) },
	}
	check := &cobra.Command{
		Use: "check [-c] FILE", Short: "Check a configuration file: every error with file and line, status 0 or 3",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if (file == "") == (len(args) == 0) {
				return errors.New("name one configuration file: noctule config check FILE")
			}
			return checkConfig(os.Stdout, append(args, file)[0])
		},
	}
	for _, sub := range []*cobra.Command{explain, check} {
		sub.Flags().StringVarP(&file, "config-file", "c", "", "configuration file")
		_ = sub.MarkFlagFilename("config-file", "conf") // fails for flags that do not exist
	}
	c.AddCommand(explain, check)
	return c
}

// checkConfig prints what a start with the file would say; the status is the one that the start would end with.
func checkConfig(w io.Writer, file string) error {
	cfg, err := config.LoadEnv(file, os.Environ())
	if err == nil {
		err = startable(cfg)
	}
	if err != nil {
		printErrors(err)
		return exitStatus(exitConfig)
	}
	for _, n := range cfg.Notes {
		fmt.Fprintf(w, "Warning: %s\n", n)
	}
	fmt.Fprintf(w, "%s: no errors.\n", file)
	return nil
}

// explainConfig prints the effective values of one key, or of all.
func explainConfig(w io.Writer, file string, key []string) error {
	cfg, err := config.LoadEnv(file, os.Environ())
	if err != nil {
		printErrors(err)
		return exitStatus(exitConfig)
	}
	if len(key) > 0 {
		all, err := config.Explain(cfg, key[0])
		for _, e := range all {
			fmt.Fprint(w, e)
		}
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	owner := ""
	for _, e := range config.ExplainAll(cfg) {
		if e.Owner != owner {
			owner = e.Owner
			fmt.Fprintf(table, "%s\n", owner)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.Name, e.Value, e.From, e.Key.Class)
	}
	return table.Flush()
}
