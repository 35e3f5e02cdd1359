package check_test

import "net"

type (
	netConn     = net.Conn
	netListener = net.Listener
)
