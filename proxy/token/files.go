package token

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The files in the state directory.
const (
	keyFile         = "token-key.pem"
	generationsFile = "token-generations.json"
)

// Files larger than this were not written here.
const (
	maxKeyBytes         = 16 << 10
	maxGenerationsBytes = 16 << 20
)

// loadKey reads the key in dir, or makes it.
func loadKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, keyFile)
	for {
		key, err := readKey(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making the key for tokens: %w", err)
		}
	}
}

func readKey(path string) (ed25519.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the key for tokens: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at the key for tokens: %w", err)
	}
	if perm := st.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("the key for tokens %s can be read by others (mode %#o): run chmod 600 on it, or remove it to have a new one made", path, perm)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the key for tokens: %w", err)
	}
	bad := fmt.Errorf("the file %s holds no Ed25519 private key in PEM: put the right one there, or remove it to have a new one made (tokens given out so far then end)", path)
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, bad
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, bad
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, bad
	}
	return key, nil
}

// makeKey puts a new key at path unless there is one, which is fs.ErrExist.
func makeKey(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	tmp, err := writeTemp(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return err
	}
	defer os.Remove(tmp) // a leftover harms nobody
	// A link appears whole or not at all, and never in another's place.
	if err := os.Link(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func loadGenerations(dir string) (map[string]uint64, error) {
	path := filepath.Join(dir, generationsFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]uint64{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the list of revoked tokens: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxGenerationsBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the list of revoked tokens: %w", err)
	}
	g := map[string]uint64{}
	if err := json.Unmarshal(bytes.TrimSpace(text), &g); err != nil || g == nil {
		return nil, fmt.Errorf("the list of revoked tokens %s is damaged: remove it together with %s, so that no revoked token is valid again", path, keyFile)
	}
	return g, nil
}

func saveGenerations(dir string, g map[string]uint64) error {
	text, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("writing the list of revoked tokens: %w", err)
	}
	path := filepath.Join(dir, generationsFile)
	tmp, err := writeTemp(path, append(text, '\n'))
	if err != nil {
		return fmt.Errorf("writing the list of revoked tokens: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("writing the list of revoked tokens: %w", err)
	}
	return syncDir(dir)
}

// writeTemp puts text in a new file beside path, readable by the owner only
// and on the disk, and returns its name.
func writeTemp(path string, text []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// syncDir makes a new name in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
