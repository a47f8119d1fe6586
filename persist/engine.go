package persist

// engine keeps the records that the journal no longer holds. Only the checkpoint's thread uses it, and Restore before there
// is one.
type engine interface {
	// apply stores changes in any order, each key once, all of them or none. They survive a power cut when it returns nil; when it
	// fails, applying them again is right.
	apply(changes []change) error
	// each visits the records whose key begins with prefix in the order of their keys. key and value are borrowed.
	each(prefix []byte, visit func(key, value []byte) error) error
	// tidy gives back space of deleted records if that is worth it; with short, also where it is little. It may take long, and stops
	// early when stop is closed.
	tidy(stop <-chan struct{}, short bool) error
	// size is what the engine takes on disk, and about how much of it is needed, in bytes.
	size() (disk, live int64)
	close() error
}

// change is one record to be written: value nil deletes it.
type change struct{ key, value []byte }
