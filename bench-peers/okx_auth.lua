-- OKX v5 signature check for nginx: HMAC-SHA256 by OpenSSL, keys in a shared dictionary.
-- A line of the key table is: key TAB secret TAB passphrase.

local ffi = require("ffi")
ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len,
                    const unsigned char *data, size_t data_len, unsigned char *out, unsigned int *out_len);
]]

local keys = ngx.shared.keys
local sha256 = ffi.C.EVP_sha256()
local out, out_len = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")
local REFUSAL = '{"code":"50113","msg":"Invalid signature.","data":[]}'

local okx_auth = {}

function okx_auth.load(path)
  for line in io.lines(path) do
    local key, rest = line:match("^(.-)\t(.+)$")
    local stored, err = keys:safe_set(key, rest)
    if not stored then error("key table: " .. err) end
  end
end

local function refuse()
  ngx.status = 401
  ngx.header["Content-Type"] = "application/json"
  ngx.print(REFUSAL)
  return ngx.exit(401)
end

function okx_auth.check()
  local var = ngx.var
  local key, signature = var.http_ok_access_key, var.http_ok_access_sign
  local timestamp, passphrase = var.http_ok_access_timestamp, var.http_ok_access_passphrase
  if not (key and signature and timestamp and passphrase) then return refuse() end
  local record = keys:get(key)
  if not record then return refuse() end
  local tab = record:find("\t", 1, true)
  local secret = record:sub(1, tab - 1)
  local prehash = timestamp .. ngx.req.get_method() .. var.request_uri
  ffi.C.HMAC(sha256, secret, #secret, prehash, #prehash, out, out_len)
  if ngx.encode_base64(ffi.string(out, 32)) ~= signature then return refuse() end
  if record:sub(tab + 1) ~= passphrase then return refuse() end
end

return okx_auth
