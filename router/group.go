package router

// Member is one session in a shared group. Loop and Key name it, Gen tells it from an earlier owner of the key.
type Member struct {
	Key    uint32
	Gen    uint32
	ID     uint32
	Loop   uint8
	QoS    uint8
	Flags  uint8
	Online bool
}

// Strategy is how a shared group chooses among its online members.
type Strategy uint8

// The strategies.
const (
	RoundRobin Strategy = iota // in the order of subscription
	Sticky                     // the same member while it is online
	HashClient                 // by the publisher
	HashTopic                  // by the topic
)

// Group is one shared subscription with its members in order of subscription. Loop thread of its home only.
type Group struct {
	Share   Share
	Members []Member

	entry *Entry
	next  int // where the round robin goes on; the sticky choice
}

// Join adds a member to a group, made when it has none, or replaces the one with the same loop and key. The loop's
// interest is registered when it returns. The share's strings are kept.
func (x *Index) Join(s Share, m Member) (g *Group, replaced bool) {
	g = x.groups[s]
	if g == nil {
		e := x.enter(s.Filter)
		g = &Group{Share: s, entry: e}
		e.Groups = append(e.Groups, g)
		x.groups[s] = g
	}
	if i := g.find(m.Loop, m.Key); i >= 0 {
		g.Members[i] = m
		return g, true
	}
	g.Members = append(g.Members, m)
	return g, false
}

// Leave removes a member; the group goes with its last one.
func (x *Index) Leave(s Share, loop uint8, key uint32) (existed bool) {
	g := x.groups[s]
	if g == nil {
		return false
	}
	i := g.find(loop, key)
	if i < 0 {
		return false
	}
	g.Members = append(g.Members[:i], g.Members[i+1:]...)
	if g.next > i {
		g.next--
	}
	if len(g.Members) > 0 {
		return true
	}
	delete(x.groups, s)
	for i, have := range g.entry.Groups {
		if have == g {
			g.entry.Groups = append(g.entry.Groups[:i], g.entry.Groups[i+1:]...)
			break
		}
	}
	x.dropIfEmpty(g.entry)
	return true
}

// Group returns the group of a share, nil when it has no members.
func (x *Index) Group(s Share) *Group { return x.groups[s] }

func (g *Group) find(loop uint8, key uint32) int {
	for i := range g.Members {
		if m := &g.Members[i]; m.Key == key && m.Loop == loop {
			return i
		}
	}
	return -1
}

// SetOnline notes that a member can receive now, or not.
func (g *Group) SetOnline(loop uint8, key uint32, online bool) {
	if i := g.find(loop, key); i >= 0 {
		g.Members[i].Online = online
	}
}

// Pick chooses the member for one message: an online one if there is any, else an offline one to queue it. skip has a
// bit for each of the first 64 members that turned the message down. ok is false when nobody is left.
func (g *Group) Pick(s Strategy, hash uint64, skip uint64) (i int, ok bool) {
	if i, ok = g.pick(s, hash, skip, true); ok {
		return i, true
	}
	return g.pick(s, hash, skip, false)
}

func (g *Group) pick(s Strategy, hash, skip uint64, online bool) (int, bool) {
	n := len(g.Members)
	if n == 0 {
		return 0, false
	}
	start := g.next % n
	if s == HashClient || s == HashTopic {
		return g.pickHash(hash, skip, online)
	}
	for k := range n {
		i := start + k
		if i >= n {
			i -= n
		}
		if !g.may(i, skip, online) {
			continue
		}
		g.next = i
		if s == RoundRobin {
			g.next = i + 1
		}
		return i, true
	}
	return 0, false
}

// pickHash takes the member with the highest hash of member and key, so that a member that comes or goes moves only
// its own share.
func (g *Group) pickHash(hash, skip uint64, online bool) (best int, ok bool) {
	top := uint64(0)
	for i := range g.Members {
		if !g.may(i, skip, online) {
			continue
		}
		m := &g.Members[i]
		if x := fold(hash^uint64(m.Loop)<<32^uint64(m.Key)^mixA, mixB); !ok || x > top {
			best, top, ok = i, x, true
		}
	}
	return best, ok
}

func (g *Group) may(i int, skip uint64, online bool) bool {
	return g.Members[i].Online == online && (i >= 64 || skip&(1<<i) == 0)
}
