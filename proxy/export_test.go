package proxy

import "github.com/ironglass/ironglass/proxy/token"

// MayType is mayType for the holder of the API's credential, or of a token;
// the code of the problem, "" for none.
func (c *Console) MayType(admin bool, secret string) string {
	if p := c.mayType(caller{admin: admin, claims: token.Claims{Mode: token.Operate}}, secret); p != nil {
		return p.Code
	}
	return ""
}

// ReadHead and ConnectTarget are the shared port's.
var (
	ReadHead      = readHead
	ConnectTarget = connectTarget
)
