package router

// trie takes the filters that have no shape of their own: too deep, or one shape too many. It is slower and holds the
// same meaning; see shapesMax.
type trie struct {
	root trieNode
	len  int
}

type trieNode struct {
	children map[string]*trieNode
	entry    *Entry
}

func (t *trie) find(filter string) *Entry {
	n := &t.root
	for more := true; more && n != nil; {
		var level string
		level, filter, more = cutLevel(filter)
		n = n.children[level]
	}
	if n == nil {
		return nil
	}
	return n.entry
}

func (t *trie) insert(e *Entry) {
	n := &t.root
	for _, level := range levelsOf(e.Filter) {
		child := n.children[level]
		if child == nil {
			if n.children == nil {
				n.children = make(map[string]*trieNode)
			}
			child = &trieNode{}
			n.children[level] = child
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
		n = n.children[level]
	}
	n.entry = nil
	t.len--
	for i := len(levels) - 1; i >= 0 && n.entry == nil && len(n.children) == 0; i-- {
		delete(path[i].children, levels[i])
		n = path[i]
	}
}

// match appends the entries whose filters match, depth first: at most LevelsMax calls deep, and at most two branches
// for each level that exist in the trie.
func (t *trie) match(topic string, dst []*Entry) []*Entry {
	return t.root.match(topic, true, topic[0] == '$', dst)
}

func (n *trieNode) match(rest string, more, system bool, dst []*Entry) []*Entry {
	if hash := n.children["#"]; hash != nil && hash.entry != nil && !system {
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
		if child := n.children[level]; child != nil {
			dst = child.match(rest, more, false, dst)
		}
	}
	if plus := n.children["+"]; plus != nil && !system {
		dst = plus.match(rest, more, false, dst)
	}
	return dst
}
