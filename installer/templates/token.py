# Keeps the one-time token as an SSM SecureString, which CloudFormation itself cannot make.
# It prints nothing: the token must not reach a log.
import boto3
import cfnresponse

ssm = boto3.client("ssm")


def handler(event, context):
    properties = event["ResourceProperties"]
    name = properties["Name"]
    status, reason = cfnresponse.SUCCESS, None
    try:
        if event["RequestType"] == "Delete":
            forget(name)
        else:
            store(name, properties, context)
    except Exception as error:
        # The class alone: the words of an error may repeat what was asked for.
        status, reason = cfnresponse.FAILED, str(error) if isinstance(error, Refused) else type(error).__name__
    cfnresponse.send(event, context, status, {}, name, True, reason)


class Refused(Exception):
    pass


def store(name, properties, context):
    wanted = properties["Account"]
    if wanted and context.invoked_function_arn.split(":")[4] != wanted:
        raise Refused("this install is for the account " + wanted)
    ssm.put_parameter(Name=name, Value=properties["Token"], Type="SecureString", Overwrite=True)


def forget(name):
    try:
        ssm.delete_parameter(Name=name)
    except ssm.exceptions.ParameterNotFound:
        pass  # the runner deleted it when it had enrolled
