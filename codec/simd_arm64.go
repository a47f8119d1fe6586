package codec

// Every arm64 processor that Go runs on has NEON.

func plain(b []byte) bool {
	if len(b) >= 16 {
		return plainNEON(b)
	}
	return plainWords(b)
}

// plainNEON is plainWords for 16 bytes or more.
//
//go:noescape
func plainNEON(b []byte) bool
