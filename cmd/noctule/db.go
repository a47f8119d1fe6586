package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/persist/mosquittodb"
)

// dbCommand is `noctule db`.
func dbCommand() *cobra.Command {
	c := &cobra.Command{Use: "db", Short: "Import, export and check what the broker stores; the broker must not run", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var file, format string
	var replace bool
	in := &cobra.Command{
		Use: "import [-c FILE] [--replace] DATABASE", Short: "Make the store of a database of Mosquitto's (mosquitto.db)",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return importDB(os.Stdout, file, args[0], replace) },
	}
	in.Flags().BoolVar(&replace, "replace", false, "set aside the store that there is")
	out := &cobra.Command{
		Use: "export [-c FILE] [--format mosquitto|jsonl] [OUTPUT]", Short: "Write the store as a database of Mosquitto's, or as lines of JSON",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return exportDB(os.Stdout, file, format, append(args, "")[0])
		},
	}
	out.Flags().StringVar(&format, "format", "mosquitto", "mosquitto or jsonl")
	check := &cobra.Command{
		Use: "check [-c FILE]", Short: "Read the whole store, repair what a start would repair, and say what is in it",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return checkDB(os.Stdout, file) },
	}
	for _, sub := range []*cobra.Command{in, out, check} {
		sub.Flags().StringVarP(&file, "config-file", "c", "", "configuration file; without it the store is in the working directory")
		_ = sub.MarkFlagFilename("config-file", "conf") // fails for flags that do not exist
		c.AddCommand(sub)
	}
	return c
}

// storePath is the persistence file that a configuration names.
func storePath(file string) (string, error) {
	cfg, err := config.LoadEnv(file, os.Environ())
	if err != nil {
		printErrors(err)
		return "", exitStatus(exitConfig)
	}
	return cfg.Persistence.Path(), nil
}

// openExisting opens the store of a configuration, which must be there.
func openExisting(file string) (persist.Store, error) {
	path, err := storePath(file)
	if err != nil {
		return nil, err
	}
	dir := path + storeSuffix
	if !exists(dir) {
		return nil, fmt.Errorf("there is no store %s; name the configuration file with -c", dir)
	}
	owner, err := ownerOf(dir)
	if err != nil {
		return nil, err
	}
	store, err := persist.Open(persist.Options{Dir: dir, Log: warn})
	if err != nil {
		return nil, errors.Join(err, owner.take(dir))
	}
	return ownedStore{store, owner, dir}, nil
}

// ownedStore is a store that belongs to whom it belonged to, also when root has closed it.
type ownedStore struct {
	persist.Store
	owner owner
	dir   string
}

// Close implements persist.Store.
func (s ownedStore) Close() error { return errors.Join(s.Store.Close(), s.owner.take(s.dir)) }

// owner is the user and group of a file. What root makes of a store has to belong to the broker's user, who cannot use it otherwise.
type owner struct{ uid, gid int }

func ownerOf(path string) (owner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return owner{}, err
	}
	s := info.Sys().(*syscall.Stat_t)
	return owner{int(s.Uid), int(s.Gid)}, nil
}

// take makes a file, or what is in a directory and it, the owner's when root runs this: as far as it is root's, and under no other name,
// because the owner may put links there meanwhile.
func (o owner) take(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), filepath.Base(path), func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != 0 || !info.IsDir() && s.Nlink > 1 {
			return nil
		}
		return root.Lchown(name, o.uid, o.gid)
	})
}

func warn(line string) { fmt.Fprintf(os.Stderr, "Warning: %s\n", line) }

func importDB(w io.Writer, file, database string, replace bool) error {
	path, err := storePath(file)
	if err != nil {
		return err
	}
	dir := path + storeSuffix
	making := dir + ".importing"
	if exists(dir) && !replace {
		return fmt.Errorf("%s exists; with --replace it is set aside", dir)
	}
	owned := dir // whose owner the new store gets
	for !exists(owned) {
		owned = filepath.Dir(owned)
	}
	owner, err := ownerOf(owned)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	counts, damaged, err := importInto(database, making)
	for _, line := range damaged {
		warn(line)
	}
	if err != nil {
		return err
	}
	if exists(dir) {
		if err := lockedOut(dir); err != nil {
			return errors.Join(err, os.RemoveAll(making))
		}
		aside, err := setAside(dir, "replaced")
		if err != nil {
			return err
		}
		if err := owner.take(aside); err != nil {
			return err
		}
		fmt.Fprintf(w, "The store that was there is %s now.\n", aside)
	}
	if err := os.Rename(making, dir); err != nil {
		return err
	}
	noted := !exists(path)
	if err := writeNote(path, dir); err != nil {
		return err
	}
	if noted {
		err = owner.take(path)
	}
	if err := errors.Join(err, owner.take(dir)); err != nil {
		return err
	}
	fmt.Fprintf(w, "Imported %s into %s: %s.\n", database, dir, counts)
	return nil
}

// lockedOut reports a broker that has the store.
func lockedOut(dir string) error {
	s, err := persist.Open(persist.Options{Dir: dir, Log: warn})
	if err != nil {
		return err
	}
	return s.Close()
}

func exportDB(stdout io.Writer, file, format, output string) (err error) {
	if format != "mosquitto" && format != "jsonl" {
		return fmt.Errorf("no format %q: it is mosquitto or jsonl", format)
	}
	store, err := openExisting(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if output == "" {
		return export(stdout, store, format)
	}
	return writeWhole(output, func(w io.Writer) error { return export(w, store, format) })
}

// writeWhole lets write make a new file, which gets its name when all of it is on the disk.
func writeWhole(path string, write func(io.Writer) error) error {
	if exists(path) {
		return fmt.Errorf("export: %s exists", path)
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part)
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// export writes what a store holds.
func export(w io.Writer, store persist.Store, format string) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	if format == "jsonl" {
		j := mosquittodb.NewJSONL(buffered)
		if err := store.Restore(j); err != nil {
			return err
		}
		return errors.Join(j.Flush(), buffered.Flush())
	}
	c := mosquittodb.NewCollector(time.Now())
	if err := store.Restore(c); err != nil {
		return err
	}
	db, notes := c.DB()
	for _, line := range notes {
		warn(line)
	}
	return errors.Join(db.Write(buffered), buffered.Flush())
}

func checkDB(w io.Writer, file string) error {
	store, err := openExisting(file)
	if err != nil {
		return err
	}
	n := &tally{}
	if err := store.Restore(n); err != nil {
		return errors.Join(err, store.Close())
	}
	stats := store.Stats()
	fmt.Fprintf(w, "%d sessions, %d subscriptions, %d deliveries, %d open QoS 2 messages, %d retained messages; %d message bodies of %d bytes; %d bytes on disk\n",
		n.sessions, n.subscriptions, n.deliveries, n.inbound, n.retained, n.messages, n.bytes, stats.DiskBytes)
	if err := store.Close(); err != nil {
		return err
	}
	if stats.SetAside > 0 {
		fmt.Fprintf(w, "%d damaged files or records were set aside.\n", stats.SetAside)
		return exitStatus(exitSetup)
	}
	return nil
}

// tally counts what a store has.
type tally struct {
	messages, sessions, subscriptions, deliveries, inbound, retained int

	bytes int64
}

// counted is a message of which only the store's mark is kept.
type counted struct{ mark persist.Mark }

func (*counted) Body() persist.Body    { return persist.Body{} }
func (m *counted) Mark() *persist.Mark { return &m.mark }
func (*counted) Release()              {}

func (t *tally) Message(b *persist.Body) persist.Message {
	t.messages++
	t.bytes += int64(len(b.Topic) + len(b.Props) + len(b.Payload))
	return &counted{}
}
func (t *tally) Session(*persist.Session)                             { t.sessions++ }
func (t *tally) Subscription(uint64, *persist.Subscription)           { t.subscriptions++ }
func (t *tally) Delivery(uint64, *persist.Delivery, persist.Message)  { t.deliveries++ }
func (t *tally) Inbound(session uint64, id uint16, m persist.Message) { t.inbound++ }
func (t *tally) Retained(persist.Message)                             { t.retained++ }
