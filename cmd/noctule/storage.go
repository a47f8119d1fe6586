package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/persist/mosquittodb"
)

const (
	// storeSuffix is what the store's directory has behind the name of the persistence file.
	storeSuffix = ".noctule"
	// noteMark is a file in the directory that tells that the persistence file is a note of ours.
	noteMark = "note"
)

// noteText is what stands in the persistence file: scripts look for it, and some remove it.
const noteText = `This file stands for the database of the MQTT broker noctule, which is the directory
%s beside it. When this file is removed, the broker starts without what was stored
and sets the directory aside. "noctule db export" writes a database for Mosquitto.
`

// mosquittoMagic is how a database of Mosquitto's begins.
var mosquittoMagic = []byte("\x00\xB5\x00mosquitto db")

// openStore opens the store that the configuration asks for; nil when it asks for none. What was set aside or imported is
// said in the log. trouble is told when nothing can be stored any more, and when it can again.
func openStore(cfg *config.Config, log *logging.Log, trouble func(error)) (persist.Store, error) {
	p := &cfg.Persistence
	if !p.Enabled {
		return nil, nil
	}
	if p.Engine == "memory" {
		log.Log(logging.Warning, "Warning: 'persistence_engine memory' keeps nothing over a restart.")
		return nil, nil
	}
	path := p.Path()
	dir := path + storeSuffix
	if err := prepareStore(path, dir, log); err != nil {
		return nil, err
	}
	store, err := persist.Open(persist.Options{
		Dir: dir, Policy: policies[p.Commit], SyncInterval: p.SyncInterval, MaxBytes: p.MaxBytes, OnTrouble: trouble,
		Log: func(line string) { log.Log(logging.Warning, "Warning: "+line) },
	})
	if err != nil {
		return nil, err
	}
	if err := writeNote(path, dir); err != nil {
		log.Logf(logging.Warning, "Warning: %s; scripts that look for this file will not find it.", err)
	}
	return store, nil
}

var policies = map[config.Commit]persist.Policy{config.Balanced: persist.Balanced, config.Strict: persist.Strict, config.Fast: persist.Fast}

// prepareStore makes the directory what the persistence file says: imported when that is a database of Mosquitto's and there
// is no directory yet, and set aside when it was a note that has been removed.
func prepareStore(path, dir string, log *logging.Log) error {
	_, err := os.Stat(dir)
	have := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("open the store: %w", err)
	}
	kind, err := fileKind(path)
	if err != nil {
		log.Logf(logging.Warning, "Warning: %s.", err)
	}
	switch {
	case have && kind == fileMissing && exists(filepath.Join(dir, noteMark)):
		aside, err := setAside(dir, "removed")
		if err != nil {
			return fmt.Errorf("set aside the store of the removed file %s: %w", path, err)
		}
		log.Logf(logging.Warning, "Warning: %s was removed, so the broker starts without what was stored. That is in %s now.", path, aside)
	case have && kind == fileMosquitto && newer(path, dir):
		log.Logf(logging.Warning, "Warning: %s was written after what the broker has in %s, which counts. To take the file instead, move that directory away.", path, dir)
	case !have && kind == fileMosquitto:
		return importFile(path, dir, log)
	case !have && kind == fileNote:
		log.Logf(logging.Warning, "Warning: there is no %s, for which %s stands, so the broker starts without what was stored.", dir, path)
	case kind == fileOther:
		log.Logf(logging.Warning, "Warning: %s is neither a database of Mosquitto's nor a note of this broker; it is left alone.", path)
	}
	return nil
}

// setAside renames a store's directory, and returns its new name.
func setAside(dir, why string) (aside string, err error) {
	aside = dir + "." + why + "-" + time.Now().UTC().Format("20060102T150405.000")
	return aside, os.Rename(dir, aside)
}

// fileKinds are what the persistence file may be.
type fileKinds uint8

const (
	fileMissing fileKinds = iota
	fileMosquitto
	fileNote
	fileOther
)

func fileKind(path string) (fileKinds, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fileMissing, nil
	}
	if err != nil {
		return fileOther, err
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	switch first, _, _ := strings.Cut(noteText, "\n"); {
	case bytes.HasPrefix(head[:n], mosquittoMagic):
		return fileMosquitto, nil
	case strings.HasPrefix(first, string(head[:n])): // the line is longer than the head
		return fileNote, nil
	}
	return fileOther, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// newer reports whether a file was written after a directory was made from it, or the directory was made from another.
func newer(file, dir string) bool {
	f, err := os.Stat(file)
	d, err2 := os.Stat(filepath.Join(dir, importedMark))
	return err2 != nil || err == nil && f.ModTime().After(d.ModTime())
}

// importedMark is a file in the directory whose time is that of the import.
const importedMark = "imported"

// writeNote writes the note where no persistence file is. It survives a power cut before its mark does: with the mark alone it
// would seem to have been removed.
func writeNote(path, dir string) error {
	if exists(path) {
		return nil
	}
	if err := writeSynced(path, fmt.Appendf(nil, noteText, filepath.Base(dir))); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, noteMark), nil, 0o600)
}

// writeSynced writes a file that survives a power cut.
func writeSynced(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	for _, name := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// importFile makes the store of a database of Mosquitto's, which it leaves untouched. The directory gets its name when
// everything is in it.
func importFile(path, dir string, log *logging.Log) error {
	making := dir + ".importing"
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	counts, damaged, err := importInto(path, making)
	if err != nil {
		_ = os.RemoveAll(making) // a full disk needs the room
	}
	for _, line := range damaged {
		log.Logf(logging.Warning, "Warning: %s: %s", path, line)
	}
	var unreadable unreadableError
	if errors.As(err, &unreadable) {
		log.Logf(logging.Error, "Error: %s. The broker starts without what is in it, and leaves it as it is; when it can be read, use: noctule db import --replace %s", err, path)
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Rename(making, dir); err != nil {
		return err
	}
	log.Logf(logging.Notice, "Imported %s: %s. The file itself is left as it is.", path, counts)
	return nil
}

// unreadableError is about a file that cannot be imported whatever is tried.
type unreadableError struct{ error }

// importInto fills a new directory from a database of Mosquitto's, and says what was in it and what could not be read.
func importInto(path, dir string) (counts string, damaged []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, fmt.Errorf("import: %w", err)
	}
	defer f.Close()
	db, damaged, err := mosquittodb.Read(f)
	if err != nil {
		return "", damaged, unreadableError{fmt.Errorf("import %s: %w", path, err)}
	}
	store, err := persist.Open(persist.Options{Dir: dir})
	if err != nil {
		return "", damaged, err
	}
	if err := store.Restore(&tally{}); err != nil { // nothing, but the store wants to be asked
		return "", damaged, errors.Join(err, store.Close())
	}
	for b := range db.Batches(time.Now()) {
		if err := commit(store, b); err != nil {
			return "", damaged, errors.Join(fmt.Errorf("import %s: %w", path, err), store.Close())
		}
	}
	if err := errors.Join(store.Sync(), store.Close()); err != nil {
		return "", damaged, fmt.Errorf("import %s: %w", path, err)
	}
	return fmt.Sprintf("%d sessions, %d subscriptions, %d messages, %d of them retained", len(db.Clients), len(db.Subscriptions),
		len(db.Messages), len(db.Retained)), damaged, os.WriteFile(filepath.Join(dir, importedMark), nil, 0o600)
}

// commit stores a batch, unless the store says that it cannot.
func commit(store persist.Store, b *persist.Batch) error {
	stored := make(chan struct{})
	b.Done = func() { close(stored) }
	store.Commit(b)
	for {
		select {
		case <-stored:
			return nil
		case <-time.After(importPatience):
			if err := store.Stats().Trouble; err != nil {
				return err
			}
		}
	}
}

// importPatience is how long an import waits for the disk before it looks for trouble.
const importPatience = 5 * time.Second
