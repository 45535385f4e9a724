package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
)

// A rotation replaces an organization's join link. Its time, its random ids and token, and the sealed
// token are made before the transaction begins.
type rotation struct {
	organization uuid.UUID
	caller       caller
	invite       uuid.UUID
	event        uuid.UUID
	token        uuid.UUID
	sealed       []byte
	now          int64
}

// place has the values that the transaction reads first.
type place struct {
	version      int64
	member       []byte
	role, status string
	before       []byte // the live link, if there is one
}

func newRotation(by caller, organization uuid.UUID, sealer *sealer) (*rotation, error) {
	change := &rotation{organization: organization, caller: by, now: time.Now().UnixMicro()}
	var err error
	if change.invite, err = uuid.NewV7(); err != nil {
		return nil, err
	}
	if change.event, err = uuid.NewV7(); err != nil {
		return nil, err
	}
	if change.token, err = uuid.NewRandom(); err != nil {
		return nil, err
	}
	change.sealed, err = sealer.seal(change.invite.String(), change.token[:])
	return change, err
}

// writes returns the statements that replace the link, or an error if the caller may not do it.
func (r *rotation) writes(at place) ([]statement, error) {
	if at.role != "admin" || at.status != "active" {
		return nil, errNotAllowed
	}
	note := ""
	all := make([]statement, 0, 4)
	if at.before != nil {
		before, err := uuid.FromBytes(at.before)
		if err != nil {
			return nil, err
		}
		note = "replaces " + before.String()
		all = append(all, statement{endInvite, []any{r.now, at.member, r.organization[:], at.before}})
	}
	hash := sha256.Sum256(r.token[:])
	version := at.version + 1
	return append(all,
		statement{advance, []any{version, r.organization[:]}},
		statement{insertInvite, []any{r.invite[:], r.organization[:], hash[:], r.sealed, at.member, version, r.now}},
		statement{insertEvent, []any{r.event[:], r.now, r.caller.account[:], r.invite.String(),
			r.organization[:], r.caller.request, note}},
	), nil
}

// A sealer encrypts tokens, so that they can be shown again: AES-256-GCM with a key of this process.
type sealer struct {
	aead  cipher.AEAD
	keyID [8]byte
}

func newSealer() (*sealer, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	fingerprint := sha256.Sum256(key[:])
	return &sealer{aead, [8]byte(fingerprint[:8])}, nil
}

// seal encrypts a token in Guestlist's layout: version, key id, nonce, ciphertext and tag.
func (s *sealer) seal(invite string, token []byte) ([]byte, error) {
	sealed := make([]byte, 21, 21+len(token)+s.aead.Overhead())
	sealed[0] = 1
	copy(sealed[1:], s.keyID[:])
	nonce := sealed[9:21]
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.aead.Seal(sealed, nonce, token, []byte(invite)), nil
}
