package bench

// flowWindow is how far back a flow remembers which messages came, in messages. It bounds the memory of a flow (512
// bytes) and must exceed what one publisher can have outstanding, or a late message could not be told from a copy.
const flowWindow = 4096

// flow follows the messages of one publisher to one subscriber. The zero value waits for message 0.
type flow struct {
	next uint64 // the number expected next: one more than the highest seen
	seen [flowWindow / 64]uint64
}

// flowCounts is what the flows of a run saw, all together.
type flowCounts struct {
	unique      uint64 // messages delivered, each counted once
	duplicates  uint64 // copies of a message already delivered
	orderBreaks uint64 // messages that came after a later one
}

// observe takes message seq and returns how many messages were skipped before it. Skipped messages count as not
// delivered until they come; then they are order breaks.
func (f *flow) observe(seq uint64, c *flowCounts) (skipped uint64) {
	if seq == f.next {
		f.mark(seq)
		f.next++
		c.unique++
		return 0
	}
	if seq > f.next {
		skipped = seq - f.next
		for n := max(f.next, seq-min(seq, flowWindow)); n < seq; n++ {
			f.clear(n)
		}
		f.mark(seq)
		f.next = seq + 1
		c.unique++
		return skipped
	}
	if f.next-seq > flowWindow {
		c.orderBreaks++
		return 0
	}
	if f.has(seq) {
		c.duplicates++
		return 0
	}
	f.mark(seq)
	c.unique++
	c.orderBreaks++
	return 0
}

func (f *flow) mark(seq uint64)     { f.seen[seq%flowWindow/64] |= 1 << (seq % 64) }
func (f *flow) clear(seq uint64)    { f.seen[seq%flowWindow/64] &^= 1 << (seq % 64) }
func (f *flow) has(seq uint64) bool { return f.seen[seq%flowWindow/64]&(1<<(seq%64)) != 0 }
