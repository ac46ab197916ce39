// Package message is the contract that producers, workers and the ledger share: what a message is, which states it can be in,
// which steps between them are legal, and how its asynq task looks. It decides nothing and reads nothing.
package message
