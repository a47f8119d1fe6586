package config

// Commit is when an acknowledgement may be sent for what has to be stored.
type Commit uint8

// The commit policies.
const (
	Balanced Commit = iota // when the operating system has it
	Strict                 // when it is on the disk
	Fast                   // at once; it is written soon after
)

// commitNames are the values of persistence_commit, in the order of the constants.
var commitNames = [...]string{"balanced", "strict", "fast"}

// String returns the policy as it is written in a file.
func (c Commit) String() string {
	if int(c) < len(commitNames) {
		return commitNames[c]
	}
	return "unknown commit policy"
}
