package router

import "strings"

// Retained is the retained topics of one partition, as a tree: topic → V. Loop thread only. Siblings are in the order
// in which they were first used.
type Retained[V any] struct {
	root    retainedNode[V]
	len     int
	cursors []*Cursor[V]
}

type retainedNode[V any] struct {
	name          string
	parent        *retainedNode[V]
	next, prev    *retainedNode[V] // siblings
	first, last   *retainedNode[V] // children
	children      map[string]*retainedNode[V]
	value         V
	set           bool
	gone          bool // taken out of the tree
	depth         int32
	childrenCount int32
}

// childrenIndexed is the number of children from which a node finds them by a map; below, by their list.
const childrenIndexed = 8

// NewRetained makes an empty tree.
func NewRetained[V any]() *Retained[V] { return &Retained[V]{} }

// Len returns the number of topics.
func (r *Retained[V]) Len() int { return r.len }

func (n *retainedNode[V]) child(name string) *retainedNode[V] {
	if n.children != nil {
		return n.children[name]
	}
	for c := n.first; c != nil; c = c.next {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *retainedNode[V]) addChild(name string) *retainedNode[V] {
	c := &retainedNode[V]{name: strings.Clone(name), parent: n, prev: n.last, depth: n.depth + 1}
	if n.last != nil {
		n.last.next = c
	} else {
		n.first = c
	}
	n.last = c
	n.childrenCount++
	if n.children != nil {
		n.children[c.name] = c
	} else if n.childrenCount > childrenIndexed {
		n.children = make(map[string]*retainedNode[V])
		for c := n.first; c != nil; c = c.next {
			n.children[c.name] = c
		}
	}
	return c
}

func (n *retainedNode[V]) removeChild(c *retainedNode[V]) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		n.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		n.last = c.prev
	}
	n.childrenCount--
	if n.children != nil {
		delete(n.children, c.name)
		if n.childrenCount == 0 {
			n.children = nil
		}
	}
}

func (r *Retained[V]) find(topic string) *retainedNode[V] {
	n := &r.root
	for more := true; more && n != nil; {
		var level string
		level, topic, more = cutLevel(topic)
		n = n.child(level)
	}
	return n
}

// Set stores v under a topic name and returns what was there.
func (r *Retained[V]) Set(topic string, v V) (old V, replaced bool) {
	n := &r.root
	for more := true; more; {
		var level string
		level, topic, more = cutLevel(topic)
		c := n.child(level)
		if c == nil {
			c = n.addChild(level)
		}
		n = c
	}
	old, replaced = n.value, n.set
	n.value, n.set = v, true
	if !replaced {
		r.len++
	}
	return old, replaced
}

// Get returns what is stored under a topic name.
func (r *Retained[V]) Get(topic string) (v V, ok bool) {
	if n := r.find(topic); n != nil && n.set {
		return n.value, true
	}
	return v, false
}

// Delete removes a topic and returns what was there.
func (r *Retained[V]) Delete(topic string) (old V, ok bool) {
	n := r.find(topic)
	if n == nil || !n.set {
		return old, false
	}
	old = n.value
	var zero V
	n.value, n.set = zero, false
	r.len--
	if n.first != nil {
		return old, true
	}
	n.gone = true
	top := n // of the nodes that go: each of the others has one child, the one below
	for p := top.parent; p.parent != nil && !p.set && p.childrenCount == 1; p = p.parent {
		p.gone = true
		top = p
	}
	for _, c := range r.cursors {
		if c.next != nil && c.next.gone {
			c.next = c.beside(top)
		}
	}
	top.parent.removeChild(top)
	return old, true
}

// Cursor walks the topics that match a filter in tree order: parents before children, siblings in order of first use.
// The tree may change under it: what is there during the whole walk is visited exactly once.
type Cursor[V any] struct {
	tree   *Retained[V]
	levels []string // of the filter, without '#'
	hash   bool     // the filter ends in '#'
	next   *retainedNode[V]
}

// Find begins a walk. The cursor must be closed, or walked to its end.
func (r *Retained[V]) Find(filter string) *Cursor[V] {
	c := &Cursor[V]{tree: r, levels: levelsOf(filter)}
	if last := len(c.levels) - 1; c.levels[last] == "#" {
		c.levels, c.hash = c.levels[:last], true
	}
	if c.next = c.after(&r.root); c.next != nil {
		r.cursors = append(r.cursors, c)
	}
	return c
}

// Close ends the walk; closing twice does nothing.
func (c *Cursor[V]) Close() {
	c.next = nil
	for i, have := range c.tree.cursors {
		if have == c {
			c.tree.cursors = append(c.tree.cursors[:i], c.tree.cursors[i+1:]...)
			return
		}
	}
}

// wild reports whether the filter takes any name at a level, counted from 0.
func (c *Cursor[V]) wild(level int) bool {
	return level >= len(c.levels) || c.levels[level] == "+"
}

// after returns the node that the walk comes to after n: below it, beside it, or beside what is above it.
func (c *Cursor[V]) after(n *retainedNode[V]) *retainedNode[V] {
	if below := c.below(n); below != nil {
		return below
	}
	return c.beside(n)
}

// beside returns the node that the walk comes to after n and all below it.
func (c *Cursor[V]) beside(n *retainedNode[V]) *retainedNode[V] {
	for ; n.parent != nil; n = n.parent {
		if n.next != nil && c.wild(int(n.depth)-1) {
			return n.next
		}
	}
	return nil
}

// below returns the first child of n that the filter takes.
func (c *Cursor[V]) below(n *retainedNode[V]) *retainedNode[V] {
	level := int(n.depth)
	switch {
	case level >= len(c.levels) && !c.hash, c.refused(n):
		return nil
	case c.wild(level):
		return n.first
	}
	return n.child(c.levels[level])
}

// refused reports whether n is a first level that a leading wildcard does not take [MQTT-4.7.2-1]. The walk steps on
// such a node, so that many of them do not make one step long, and not below it.
func (c *Cursor[V]) refused(n *retainedNode[V]) bool {
	return n.depth == 1 && n.name != "" && n.name[0] == '$' && c.wild(0)
}

// matches reports whether the filter matches the node that the walk stands on.
func (c *Cursor[V]) matches(n *retainedNode[V]) bool {
	depth := int(n.depth)
	return (depth == len(c.levels) || (c.hash && depth > len(c.levels))) && !c.refused(n)
}

// NextN looks at no more than steps nodes and calls visit for those that match; visit returns false to pause after its
// node. more is false when the walk has ended; the cursor is closed then.
func (c *Cursor[V]) NextN(steps int, visit func(v V) bool) (more bool) {
	for range steps {
		n := c.next
		if n == nil {
			break
		}
		c.next = c.after(n)
		if n.set && c.matches(n) && !visit(n.value) {
			break
		}
	}
	if c.next == nil {
		c.Close()
		return false
	}
	return true
}
