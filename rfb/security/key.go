package security

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
)

// Keys of RSA-AES, in bits.
const (
	minKeyBits = 1024
	maxKeyBits = 8192
	newKeyBits = 2048
)

// maxKeyFile is the largest file with a key, in bytes.
const maxKeyFile = 32 << 10

// GenerateKey makes a key of 2048 bits for RA2.
func GenerateKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, newKeyBits)
	if err != nil {
		return nil, fmt.Errorf("making an RSA key: %w", err)
	}
	return key, nil
}

// ReadKey reads a server's key for RA2 from a PEM file (PKCS #1 or PKCS #8).
// Where there is no such file, it is made, readable by its owner alone, so
// that viewers meet the same key the next time.
func ReadKey(path string) (*rsa.PrivateKey, error) {
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readBounded(path string) ([]byte, error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, fmt.Errorf("%s is not a file with a key", path)
	}
	return os.ReadFile(path)
}

func parseKey(text []byte) (*rsa.PrivateKey, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("the file holds no RSA key in PEM form")
		}
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, errors.New("the key is damaged") // what err says may hold parts of it
		}
		k, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("it is a %T and not an RSA key", key)
		}
		if n := k.N.BitLen(); n < minKeyBits || n > maxKeyBits {
			return nil, fmt.Errorf("the key has %d bits; %d to %d are possible", n, minKeyBits, maxKeyBits)
		}
		return k, nil
	}
}

// makeKey writes a new key to path, unless another program does just then:
// then that one's counts.
func makeKey(path string) (*rsa.PrivateKey, error) {
	key, err := GenerateKey()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-") // 0600
	if err != nil {
		return nil, fmt.Errorf("making the key file: %w", err)
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("writing the key file: %w", err)
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return ReadKey(path)
	case err != nil:
		return nil, fmt.Errorf("making the key file: %w", err)
	}
	return key, nil
}

// publicKey is a key as RSA-AES sends it: U32 length in bits, modulus,
// exponent.
func publicKey(key *rsa.PublicKey) []byte {
	size := key.Size()
	b := make([]byte, 4+2*size)
	binary.BigEndian.PutUint32(b, uint32(key.N.BitLen()))
	key.N.FillBytes(b[4 : 4+size])
	big.NewInt(int64(key.E)).FillBytes(b[4+size:])
	return b
}

// Fingerprint names a server's key of RSA-AES: SHA-256 in hexadecimal of the
// key as it is sent.
func Fingerprint(key *rsa.PublicKey) string {
	sum := sha256.Sum256(publicKey(key))
	return hex.EncodeToString(sum[:])
}

// ShortFingerprint is what viewers show to people for comparison: the first
// eight bytes of a SHA-1.
func ShortFingerprint(key *rsa.PublicKey) string {
	sum := sha1.Sum(publicKey(key))
	return strings.ReplaceAll(fmt.Sprintf("% x", sum[:8]), " ", "-")
}
