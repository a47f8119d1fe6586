package shard

import "github.com/noctulemq/noctule/router"

// Publishers say the same topics again and again, so a shard remembers where the last ones went. A route holds as long
// as the index, or the interest table, has the version with which it was made.

const (
	// routesKept is how many routes a shard remembers, by the hash of their topic; topics beyond routeTopic bytes and
	// those that match more than routeEntries filters are not worth it.
	routesKept   = 512
	routeTopic   = 48
	routeEntries = 2
)

// route is where publications on one topic go. Loop thread only.
type route struct {
	topic  [routeTopic]byte
	length uint8
	n      uint8 // entries in use
	here   bool  // entries are known
	away   bool  // loops is known
	// index and interest are the versions with which entries and loops hold.
	index    uint64
	interest uint64
	loops    uint64
	entries  [routeEntries]*router.Entry
}

// routeOf returns the place of a topic's route, cleared when it was another's; nil when topics like it are not kept.
func (s *Shard) routeOf(p *publication) *route {
	if r := s.lastRoute; r != nil && string(r.topic[:r.length]) == p.name {
		return r
	}
	if len(p.name) > routeTopic {
		return nil
	}
	if s.routes == nil {
		s.routes = new([routesKept]route)
	}
	r := &s.routes[s.hasher.Name(p.name)%routesKept]
	if string(r.topic[:r.length]) != p.name {
		*r = route{}
		r.length = uint8(copy(r.topic[:], p.name))
	}
	s.lastRoute = r
	return r
}

// loopsFor returns the loops that may have a filter for the topic, one bit each. r is the topic's route.
func (s *Shard) loopsFor(p *publication, r *route) uint64 {
	if r == nil {
		return s.interest.Loops(p.scan(s.hasher))
	}
	version := s.interest.Version() // before the table is read
	if !r.away || r.interest != version {
		r.loops, r.interest, r.away = s.interest.Loops(p.scan(s.hasher)), version, true
	}
	return r.loops
}

// match returns the entries of the index that match, until the next call. r is the topic's route.
func (s *Shard) match(p *publication, r *route) []*router.Entry {
	if r != nil && r.here && r.index == s.index.Version() {
		return r.entries[:r.n]
	}
	s.entries = s.index.Match(p.scan(s.hasher), s.entries[:0])
	if r != nil {
		if r.here = len(s.entries) <= routeEntries; r.here {
			r.index = s.index.Version()
			r.n = uint8(copy(r.entries[:], s.entries))
		}
	}
	return s.entries
}
