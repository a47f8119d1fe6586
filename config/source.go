package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// source is where configuration files are read from: the system's files, or those of a test.
type source interface {
	ReadFile(path string) ([]byte, error) // errTooLarge beyond fileBytesMax
	ReadDir(path string) ([]string, error)
}

// errTooLarge is returned by a source for a file of more than fileBytesMax.
var errTooLarge = errors.New("file too large")

// osFiles is the system's files.
type osFiles struct{}

func (osFiles) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err == nil && len(text) > fileBytesMax {
		err = errTooLarge
	}
	return text, err
}

func (osFiles) ReadDir(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// reason is an error of the system without the path, which the sentence before it has.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}
