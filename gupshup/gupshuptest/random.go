package gupshuptest

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// Every random decision is a hash of the seed, of what is decided and of a
// running number. So a seed repeats a run without a lock around a generator.

// drawSeed returns a seed for a simulator that was given none.
func drawSeed() uint64 { return rand.Uint64() | 1 }

// mix is the finaliser of SplitMix64: each input bit changes half of the output.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// Streams keep decisions about different things apart.
const (
	streamMessageID = iota
	streamLatency
	streamRules // plus the number of the rule
)

// Streams of the callbacks, far from those of the rules.
const (
	streamOutcome = iota + 1<<32
	streamJourney
	streamWhatsApp
	streamConversation
	streamApp
	streamPush
)

func draw(seed, stream, n uint64) uint64 { return mix(mix(seed^mix(stream)) + n) }

// chance is true with probability p.
func chance(p float64, seed, stream, n uint64) bool {
	return p >= 1 || float64(draw(seed, stream, n)>>11)/(1<<53) < p
}

// jitter returns a share of most, from 0 up to but without most itself.
func jitter(most time.Duration, seed, n uint64) time.Duration {
	if most <= 0 {
		return 0
	}
	return time.Duration(draw(seed, streamLatency, n) % uint64(most))
}

// messageID makes the lowercase version 4 UUID of the n-th accepted message. It
// can be made again from n, so it need not be kept.
func messageID(seed, n uint64) string { return makeUUID(seed, streamMessageID, n) }

// makeUUID makes the n-th version 4 UUID of a stream.
func makeUUID(seed, stream, n uint64) string {
	high, low := draw(seed, stream, 2*n), draw(seed, stream, 2*n+1)
	var raw [16]byte
	for i := range 8 {
		raw[i] = byte(high >> (8 * i))
		raw[8+i] = byte(low >> (8 * i))
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80

	var out [36]byte
	hex.Encode(out[0:8], raw[0:4])
	hex.Encode(out[9:13], raw[4:6])
	hex.Encode(out[14:18], raw[6:8])
	hex.Encode(out[19:23], raw[8:10])
	hex.Encode(out[24:36], raw[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
