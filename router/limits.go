package router

const (
	// LevelsMax is the greatest number of levels of a topic name or filter.
	LevelsMax = 200
	// shapesMax is how many shapes an index or the interest table probes one by one. Filters of further shapes go to
	// a trie, so that hostile filters cost their own match, not everyone's.
	shapesMax = 256
	// shapeLevels is the depth up to which filters have a shape: one bit for each level. Deeper ones go to the trie.
	shapeLevels = 64
	// migrateSlots is how many slots of a table that grows move with each change, so that growth never stalls a loop.
	migrateSlots = 32
	// migrateProbe is how many move each time when matching looks into one.
	migrateProbe = 4
	// subsIndexed is the number of subscribers of one filter from which they are indexed by key.
	subsIndexed = 32
)
