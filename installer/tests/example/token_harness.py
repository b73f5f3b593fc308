# Runs the token function (its source is the first argument) with stand-ins for boto3 and cfnresponse.
import sys
import types

stored, sent = {}, []


class NotFound(Exception):
    pass


class Ssm:
    exceptions = types.SimpleNamespace(ParameterNotFound=NotFound)

    def put_parameter(self, Name, Value, Type, Overwrite):
        assert Type == "SecureString" and Overwrite
        if Value == "makes-it-fail":
            raise ValueError("the value was " + Value)
        stored[Name] = Value

    def delete_parameter(self, Name):
        if stored.pop(Name, None) is None:
            raise NotFound(Name)


def send(event, context, status, data, physical_id, no_echo, reason):
    sent.append((status, data, physical_id, no_echo, reason))


sys.modules["boto3"] = types.SimpleNamespace(client=lambda name: Ssm())
sys.modules["cfnresponse"] = types.SimpleNamespace(SUCCESS="SUCCESS", FAILED="FAILED", send=send)
exec(sys.argv[1])


def call(kind, token="the-token", account="111122223333"):
    context = types.SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-central-1:%s:function:f" % account)
    properties = {"Name": "/remit/t", "Account": "111122223333", "Token": token}
    handler({"RequestType": kind, "ResourceProperties": properties}, context)
    return sent[-1]


assert call("Create") == ("SUCCESS", {}, "/remit/t", True, None) and stored == {"/remit/t": "the-token"}
assert call("Update", "newer")[0] == "SUCCESS" and stored == {"/remit/t": "newer"}
assert call("Delete")[0] == "SUCCESS" and stored == {}
assert call("Delete")[0] == "SUCCESS"
status, _, _, _, reason = call("Create", account="999900001111")
assert status == "FAILED" and "111122223333" in reason and stored == {}
status, _, _, _, reason = call("Create", "makes-it-fail")
assert status == "FAILED" and reason == "ValueError"
