// The reference of `onair bench fanout`: the Go library that serves the same protocol. What a publisher calls with goes to everybody.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"
)

const room = "room"

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ready := flag.String("ready-file", "", "written once it serves")
	flag.Parse()
	node, err := centrifuge.New(centrifuge.Config{})
	must(err)
	node.OnConnecting(func(_ context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		reply := centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: event.Token}}
		if event.Token != "publisher" {
			reply.Subscriptions = map[string]centrifuge.SubscribeOptions{room: {}}
		}
		return reply, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnRPC(func(event centrifuge.RPCEvent, done centrifuge.RPCCallback) {
			_, err := node.Publish(room, event.Data)
			done(centrifuge.RPCReply{}, err)
		})
	})
	must(node.Run())
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin:        func(*http.Request) bool { return true },
		UseWriteBufferPool: true,
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	said, err := json.Marshal(map[string]string{"listen": listener.Addr().String()})
	must(err)
	draft := *ready + ".draft"
	must(os.WriteFile(draft, said, 0o600))
	must(os.Rename(draft, *ready))
	must(http.Serve(listener, nil))
}
