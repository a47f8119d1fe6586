package router

// Topic is a topic name, split and hashed once for all probes. Owned by its caller and reused; Name is borrowed.
type Topic struct {
	Name   string
	hasher *Hasher
	depth  int // levels
	whole  uint64
	// sums[n] is the sum of the hashes of the first n levels: the combined hash of the exact shape of that depth.
	sums [shapeLevels + 1]uint64
}

// Scan splits and hashes a topic name. Levels beyond shapeLevels are hashed together: only the trie looks at them.
func (t *Topic) Scan(h *Hasher, name string) {
	t.Name, t.hasher = name, h
	if !t.scanVectors(h, name) {
		t.scanBytes(h, name)
	}
}

// scanBytes is Scan for names of any length, without vector code.
func (t *Topic) scanBytes(h *Hasher, name string) {
	depth, start := 0, 0
	sum := uint64(0)
	for i := 0; i <= len(name) && depth < shapeLevels; i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		x := h.level(name[start:i], depth)
		sum += x
		depth++
		t.sums[depth] = sum
		start = i + 1
	}
	t.whole = sum
	if start <= len(name) {
		rest := name[start:]
		t.whole += fold(h.bytes(rest), mixB)
		depth++
		for i := range len(rest) {
			if rest[i] == '/' {
				depth++
			}
		}
	}
	t.depth = depth
	t.whole = fold(t.whole^uint64(depth), mixA)
}

// Hash returns the hash of the whole name, for partitioning and for choosing by topic.
func (t *Topic) Hash() uint64 { return t.whole }

// First returns the hash of the first level.
func (t *Topic) First() uint64 { return fold(t.sums[1], mixA) }

// system reports whether a leading wildcard must not match [MQTT-4.7.2-1].
func (t *Topic) system() bool { return len(t.Name) > 0 && t.Name[0] == '$' }
