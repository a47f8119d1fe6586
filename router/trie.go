package router

import "strings"

// trie takes the filters that have no shape of their own: too deep, or one shape too many. It is slower and holds the
// same meaning; see shapesMax.
type trie struct {
	root trieNode
	len  int
}

// trieNode is one level. Its children are in a list, or in an index when they are many.
type trieNode struct {
	name        string
	entry       *Entry
	first, next *trieNode // first child, next sibling
	index       map[string]*trieNode
	count       int // of children
}

func (n *trieNode) child(name string) *trieNode {
	if n.index != nil {
		return n.index[name]
	}
	for c := n.first; c != nil; c = c.next {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *trieNode) addChild(name string) *trieNode {
	c := &trieNode{name: strings.Clone(name)}
	n.count++
	if n.index == nil && n.count > childrenIndexed {
		n.index = make(map[string]*trieNode)
		for c := n.first; c != nil; c = n.first {
			n.index[c.name], n.first, c.next = c, c.next, nil
		}
	}
	if n.index != nil {
		n.index[c.name] = c
		return c
	}
	c.next, n.first = n.first, c
	return c
}

func (n *trieNode) removeChild(c *trieNode) {
	n.count--
	if n.index == nil {
		at := &n.first
		for *at != c {
			at = &(*at).next
		}
		*at = c.next
		return
	}
	delete(n.index, c.name)
	if n.count > childrenIndexed/2 {
		return
	}
	for _, c := range n.index {
		c.next, n.first = n.first, c
	}
	n.index = nil
}

func (t *trie) find(filter string) *Entry {
	n := &t.root
	for more := true; more && n != nil; {
		var level string
		level, filter, more = cutLevel(filter)
		n = n.child(level)
	}
	if n == nil {
		return nil
	}
	return n.entry
}

func (t *trie) insert(e *Entry) {
	n := &t.root
	for _, level := range levelsOf(e.Filter) {
		child := n.child(level)
		if child == nil {
			child = n.addChild(level)
		}
		n = child
	}
	n.entry = e
	t.len++
}

func (t *trie) remove(filter string) {
	levels := levelsOf(filter)
	path := make([]*trieNode, 0, len(levels)+1)
	n := &t.root
	for _, level := range levels {
		path = append(path, n)
		n = n.child(level)
	}
	n.entry = nil
	t.len--
	for i := len(levels) - 1; i >= 0 && n.entry == nil && n.count == 0; i-- {
		path[i].removeChild(n)
		n = path[i]
	}
}

// match appends the entries whose filters match, depth first: at most LevelsMax calls deep, and at most two branches
// for each level that exist in the trie.
func (t *trie) match(topic string, dst []*Entry) []*Entry {
	return t.root.match(topic, true, topic[0] == '$', dst)
}

func (n *trieNode) match(rest string, more, system bool, dst []*Entry) []*Entry {
	if hash := n.child("#"); hash != nil && hash.entry != nil && !system {
		dst = append(dst, hash.entry)
	}
	if !more {
		if n.entry != nil {
			dst = append(dst, n.entry)
		}
		return dst
	}
	level, rest, more := cutLevel(rest)
	if level != "+" && level != "#" {
		if child := n.child(level); child != nil {
			dst = child.match(rest, more, false, dst)
		}
	}
	if plus := n.child("+"); plus != nil && !system {
		dst = plus.match(rest, more, false, dst)
	}
	return dst
}
