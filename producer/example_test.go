package producer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// exampleRedis stands for your Redis: redis.NewClient(&redis.Options{Addr: "localhost:6379"}).
func exampleRedis() (*redis.Client, func()) {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		panic(err)
	}
	return redis.NewClient(&redis.Options{Addr: server.Addr()}), server.Close
}

// A one-time password: critical, and worth nothing after two minutes.
func ExampleProducer_Send() {
	rdb, done := exampleRedis()
	defer done()
	p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: "shop"}}})
	if err != nil {
		panic(err)
	}
	result, err := p.Send(context.Background(), message.Message{
		ID: "login-7731", Sender: "shop", To: "+91 98765 43210",
		Priority:  message.Critical,
		Content:   gupshup.Content{Template: &gupshup.Template{ID: "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", Params: []string{"482913"}}},
		ExpiresAt: time.Now().Add(2 * time.Minute),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.ID, result.Status)
	// Output: login-7731 queued
}

// Whoever is not sure that a message was accepted sends it again with the same id.
func ExampleProducer_Send_again() {
	rdb, done := exampleRedis()
	defer done()
	p, _ := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: "shop"}}})
	m := message.Message{
		ID: "order-42", Sender: "shop", To: "919876543210",
		Content: gupshup.Content{Message: gupshup.Text{Text: "Your order is on its way."}},
	}
	first, _ := p.Send(context.Background(), m)
	second, _ := p.Send(context.Background(), m)
	fmt.Println(first.Existing, second.Existing)

	m.Content = gupshup.Content{Message: gupshup.Text{Text: "Something else."}}
	_, err := p.Send(context.Background(), m)
	var conflict *producer.ConflictError
	fmt.Println(errors.As(err, &conflict))
	// Output:
	// false true
	// true
}

// Each message of a batch has a result of its own; what is wrong is named field by field.
func ExampleProducer_SendBatch() {
	rdb, done := exampleRedis()
	defer done()
	p, _ := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: "shop"}}})
	text := gupshup.Content{Message: gupshup.Text{Text: "We are open on Sunday."}}
	for _, r := range p.SendBatch(context.Background(), []message.Message{
		{ID: "news-1", Sender: "shop", To: "919876543210", Priority: message.Bulk, Content: text},
		{ID: "news-2", Sender: "shop", To: "12", Priority: message.Bulk, Content: text},
	}) {
		var wrong gupshup.FieldErrors
		if errors.As(r.Err, &wrong) {
			fmt.Println(r.ID, "refused:", wrong[0].Field)
			continue
		}
		fmt.Println(r.ID, r.Status)
	}
	// Output:
	// news-1 queued
	// news-2 refused: to
}
