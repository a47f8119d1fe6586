//go:build !amd64 && !arm64

package router

// scanVectors reports that there is no vector code.
func (t *Topic) scanVectors(*Hasher, string) bool { return false }
