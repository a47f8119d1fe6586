//go:build !amd64 && !arm64

package codec

func plain(b []byte) bool { return plainWords(b) }
