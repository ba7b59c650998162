package security

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
)

// eax is the mode of operation EAX over AES, a cipher.AEAD: counter mode for
// secrecy and OMAC (NIST SP 800-38B's CMAC) for what is authenticated. (M.
// Bellare, P. Rogaway, D. Wagner: The EAX Mode of Operation, 2004.)
type eax struct {
	block          cipher.Block
	whole, partial [aes.BlockSize]byte // what OMAC mixes into a last block
}

var errForged = errors.New("the message was changed on its way")

// newEAX takes a key of 16, 24 or 32 bytes.
func newEAX(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the callers' keys have such a length
	}
	e := &eax{block: block}
	block.Encrypt(e.whole[:], e.whole[:])
	e.whole = double(e.whole)
	e.partial = double(e.whole)
	return e
}

// double multiplies by x in the field of 2^128 elements.
func double(b [aes.BlockSize]byte) (out [aes.BlockSize]byte) {
	carry := byte(0)
	for i := len(b) - 1; i >= 0; i-- {
		out[i] = b[i]<<1 | carry
		carry = b[i] >> 7
	}
	out[len(out)-1] ^= carry * 0x87
	return out
}

func (*eax) NonceSize() int { return aes.BlockSize }
func (*eax) Overhead() int  { return aes.BlockSize }

// omac is the OMAC of a block that ends in tweak, and of data after it.
func (e *eax) omac(tweak byte, data []byte) (mac [aes.BlockSize]byte) {
	mac[len(mac)-1] = tweak
	if len(data) == 0 {
		subtle.XORBytes(mac[:], mac[:], e.whole[:])
	}
	e.block.Encrypt(mac[:], mac[:])
	for len(data) > aes.BlockSize {
		subtle.XORBytes(mac[:], mac[:], data)
		e.block.Encrypt(mac[:], mac[:])
		data = data[aes.BlockSize:]
	}
	if len(data) == 0 {
		return mac
	}
	last := &e.whole
	subtle.XORBytes(mac[:], mac[:], data)
	if len(data) < aes.BlockSize {
		mac[len(data)] ^= 0x80
		last = &e.partial
	}
	subtle.XORBytes(mac[:], mac[:], last[:])
	e.block.Encrypt(mac[:], mac[:])
	return mac
}

// Seal appends the encrypted plaintext and its tag to dst.
func (e *eax) Seal(dst, nonce, plaintext, additional []byte) []byte {
	start := e.omac(0, nonce)
	dst = append(dst, plaintext...)
	text := dst[len(dst)-len(plaintext):]
	cipher.NewCTR(e.block, start[:]).XORKeyStream(text, text)
	tag := e.tag(start, text, additional)
	return append(dst, tag[:]...)
}

// Open appends to dst what ciphertext holds, or returns an error where that
// or additional is not what Seal had.
func (e *eax) Open(dst, nonce, ciphertext, additional []byte) ([]byte, error) {
	if len(ciphertext) < aes.BlockSize {
		return nil, errForged
	}
	text, sent := ciphertext[:len(ciphertext)-aes.BlockSize], ciphertext[len(ciphertext)-aes.BlockSize:]
	start := e.omac(0, nonce)
	tag := e.tag(start, text, additional)
	if subtle.ConstantTimeCompare(tag[:], sent) != 1 {
		return nil, errForged
	}
	dst = append(dst, text...)
	out := dst[len(dst)-len(text):]
	cipher.NewCTR(e.block, start[:]).XORKeyStream(out, out)
	return dst, nil
}

func (e *eax) tag(start [aes.BlockSize]byte, text, additional []byte) [aes.BlockSize]byte {
	header, body := e.omac(1, additional), e.omac(2, text)
	subtle.XORBytes(start[:], start[:], header[:])
	subtle.XORBytes(start[:], start[:], body[:])
	return start
}
