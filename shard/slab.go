package shard

// slabChunk is how many records one allocation of a slab holds: large enough that a million records are a few
// thousand allocations, small enough that a broker with three clients stays small.
const slabChunk = 128

// slab keeps records of one kind in chunks that never move, so that a record is addressed by its index (in router
// entries, timers and connections) or by a pointer that stays good until put. Loop thread only. It is bounded by
// whoever takes records: clients by the connection limits, sessions by `max_sessions`.
type slab[T any] struct {
	chunks []*[slabChunk]T
	free   []uint32
	made   uint32
}

// take returns the index and address of an unused record, as it was left by put or zeroed when new.
func (s *slab[T]) take() (uint32, *T) {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i, s.at(i)
	}
	i := s.made
	if i%slabChunk == 0 {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	s.made++
	return i, s.at(i)
}

// at returns the record with index i, which must have been taken.
func (s *slab[T]) at(i uint32) *T { return &s.chunks[i/slabChunk][i%slabChunk] }

// put gives the record back; the caller has cleared what it referenced.
func (s *slab[T]) put(i uint32) { s.free = append(s.free, i) }

// len returns how many records are taken.
func (s *slab[T]) len() int { return int(s.made) - len(s.free) }
